#include "serve/prompt_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "core/error.h"
#include "io/sha256.h"
#include "serve/session.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

const TextSink kIgnore = [](std::string_view) { return true; };

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// The file of a session that read "Once upon a time", and what it is of.
struct Written {
  test::TempFolder folder;
  std::filesystem::path path = folder.path / "talk.kv";
  std::vector<Token> prompt;
  std::string bytes;
  CacheIdentity identity;
  explicit Written(const Model& model) : prompt(model.tokenizer().encode("Once upon a time")) {
    Session session(model, {.context = 64});
    session.generate(prompt, {.max_tokens = 0}, kIgnore);
    session.save(path);
    bytes = test::read_file(path);
    const Config& c = model.config();
    identity = {model.source_stamp(), "", c.layers, c.kv_heads, c.head_dim, c.vocab};
  }
  // With a sum that is right.
  std::string summed(std::string changed) const {
    changed.resize(changed.size() - 64);
    return changed + sha256_hex(changed);
  }
};

TEST(PromptCache, TheNextSessionGoesOnFromIt) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const Written written(model);
  Session session(model, {.context = 80});  // another capacity is no other cache
  std::string why;
  ASSERT_TRUE(session.load(written.path, why)) << why;
  EXPECT_EQ(std::vector<Token>(session.tokens().begin(), session.tokens().end()), written.prompt);
  std::vector<Token> longer = written.prompt;
  const auto more = model.tokenizer().encode(", there was a", false);
  longer.insert(longer.end(), more.begin(), more.end());
  const GenerateResult result = session.generate(longer, {.max_tokens = 40}, kIgnore);
  EXPECT_EQ(result.reused_tokens, dim(written.prompt.size()));
  EXPECT_EQ(result.text, generate(model, longer, {.max_tokens = 40}, kIgnore).text);
}

TEST(PromptCache, OfAnotherModelItIsIgnored) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(half, "models/stories260K/stories260K-f16.gguf");
  const Model model = Model::open(path), other = Model::open(half);
  const Written written(model);
  Session session(other, {.context = 64});
  std::string why;
  EXPECT_FALSE(session.load(written.path, why));
  EXPECT_NE(why.find("another model"), std::string::npos) << why;
  EXPECT_EQ(session.tokens().size(), 0u);
  EXPECT_FALSE(session.load(written.folder.path / "none", why));
  Session small(model, {.context = 4});
  EXPECT_FALSE(small.load(written.path, why));
  EXPECT_NE(why.find("expected 0 ... 4 tokens, got 5"), std::string::npos) << why;
}

TEST(PromptCache, DamageIsFound) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const Written w(model);
  EXPECT_NO_THROW(parse_prompt_cache(bytes_of(w.bytes), w.identity, 64));
  for (std::size_t size = 0; size < w.bytes.size(); size += 97)
    EXPECT_THROW(parse_prompt_cache(bytes_of(w.bytes.substr(0, size)), w.identity, 64), Error) << size;
  for (std::size_t at = 0; at < w.bytes.size(); at += 89) {
    std::string changed = w.bytes;
    changed[at] = char(changed[at] ^ 0x10);
    EXPECT_THROW(parse_prompt_cache(bytes_of(changed), w.identity, 64), Error) << at;
  }
  EXPECT_THROW(parse_prompt_cache(bytes_of(w.bytes + "x"), w.identity, 64), Error);
}

// Files whose sum is right and whose contents are not.
TEST(PromptCache, LiesAreFound) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const Written w(model);
  const std::size_t count_at = 8 + 4 + w.identity.text().size(), tokens_at = count_at + 8;
  for (const dim count : {dim(-1), dim(4), dim(6), dim(1) << 60, std::numeric_limits<dim>::max()}) {
    std::string changed = w.bytes;
    std::memcpy(changed.data() + count_at, &count, sizeof count);
    EXPECT_THROW(parse_prompt_cache(bytes_of(w.summed(changed)), w.identity, std::numeric_limits<dim>::max()), Error)
        << count;
  }
  for (const Token token : {Token(-1), Token(512)}) {
    std::string changed = w.bytes;
    std::memcpy(changed.data() + tokens_at, &token, sizeof token);
    EXPECT_THROW(parse_prompt_cache(bytes_of(w.summed(changed)), w.identity, 64), Error) << token;
  }
  std::string changed = w.bytes;
  const float bad = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(changed.data() + tokens_at + 5 * 4 + 40, &bad, sizeof bad);
  const std::string summed = w.summed(changed);
  const CachedPrompt prompt = parse_prompt_cache(bytes_of(summed), w.identity, 64);
  KvCache cache(model.config(), 1, 64);
  EXPECT_THROW(fill_cache(prompt, cache), Error);
}

TEST(PromptCache, EncodedCachesAreNotWritten) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  Session session(model, {.context = 64, .kv = KvSpec("int8")});
  const test::TempFolder folder;
  EXPECT_THROW(session.save(folder.path / "x"), Error);
}

}  // namespace
}  // namespace pith
