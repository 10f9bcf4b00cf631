#include "serve/prompt_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/cursor.h"
#include "io/sha256.h"
#include "io/stage.h"

namespace pith {

namespace {

constexpr std::string_view kMagic = "pithkv01";
constexpr std::size_t kSumBytes = 64;

// (layers, 2, kv_heads): the rows of each head lie together.
template <class Cache, class Body>
void for_each_head(Cache& cache, const Body& body) {
  for (dim l = 0; l < cache.layers(); ++l)
    for (const bool values : {false, true})
      for (dim h = 0; h < cache.kv_heads(); ++h)
        body((values ? cache.values(l, 0) : cache.keys(l, 0)) + h * cache.capacity() * cache.head_dim());
}

// What a file holds of so many tokens; -1 when that is out of range.
dim kv_bytes(const CacheIdentity& id, dim tokens) {
  dim bytes = 2 * dim(sizeof(float));
  for (const dim factor : {id.layers, id.kv_heads, id.head_dim, tokens})
    if (__builtin_mul_overflow(bytes, factor, &bytes)) return -1;
  return bytes;
}

class Writer {
 public:
  Writer(const std::filesystem::path& path, dim size_bytes)
      : stage_(path, Stage::Kind::file, "prompt cache", {.resume = false, .overwrite = true}),
        name_(path.filename().string()) {
    stage_.add_file(name_, size_bytes);
  }
  void add(std::span<const std::byte> bytes) {
    sum_.update(bytes);
    put(bytes);
  }
  void finish() {
    const std::string sum = sum_.hex();
    put(std::as_bytes(std::span(sum)));
    stage_.commit();
  }

 private:
  void put(std::span<const std::byte> bytes) {
    stage_.write(name_, at_, bytes);
    at_ += dim(bytes.size());
  }
  Stage stage_;
  std::string name_;
  Sha256 sum_;
  dim at_ = 0;
};

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

std::string CacheIdentity::text() const {
  return fmt::format("model {} activations '{}' layers {} heads {} width {} vocabulary {}", model, activations, layers,
                     kv_heads, head_dim, vocab);
}

void write_prompt_cache(const std::filesystem::path& path, const CacheIdentity& identity, std::span<const Token> tokens,
                        const KvCache& cache) {
  if (cache.encoded())
    throw Error(Blame::input, "prompt cache", "expected keys and values in f32, got encoded ones",
                "leave out --kv or --prompt-cache");
  PITH_CHECK(cache.length(0) == dim(tokens.size()));
  const std::string id = identity.text();
  const auto id_bytes = std::uint32_t(id.size());
  const dim count = dim(tokens.size()), width = cache.head_dim();
  const std::size_t size = kMagic.size() + sizeof id_bytes + id.size() + sizeof count + tokens.size_bytes() + kSumBytes;
  Writer writer(std::filesystem::absolute(path), dim(size) + kv_bytes(identity, count));
  writer.add(std::as_bytes(std::span(kMagic)));
  writer.add(bytes_of(id_bytes));
  writer.add(std::as_bytes(std::span(id)));
  writer.add(bytes_of(count));
  writer.add(std::as_bytes(tokens));
  for_each_head(cache,
                [&](const float* rows) { writer.add(std::as_bytes(std::span(rows, std::size_t(count * width)))); });
  writer.finish();
}

CachedPrompt parse_prompt_cache(std::span<const std::byte> bytes, const CacheIdentity& identity, dim capacity) {
  Cursor in(bytes, "prompt cache");
  if (in.text(kMagic.size(), "the first bytes") != kMagic) throw input_error(in.where(), "expected a file of pith's");
  if (in.text(in.number<std::uint32_t>("a length"), "the identity") != identity.text())
    throw Error(Blame::input, in.where(), "it is of another model, or of other choices");
  const dim count = in.number<dim>("the number of tokens");
  const dim most = std::min(capacity, in.remaining() / dim(sizeof(Token)));
  if (count < 0 || count > most) throw input_error(in.where(), "expected 0 ... {} tokens, got {}", most, count);
  const dim size = kv_bytes(identity, count);
  const dim rest = count * dim(sizeof(Token)) + dim(kSumBytes);
  if (size < 0 || in.remaining() - rest != size)
    throw input_error(in.where(), "expected {} bytes for {} tokens, got {}", size, count, in.remaining() - rest);
  Sha256 sum;
  sum.update(bytes.first(bytes.size() - kSumBytes));
  CachedPrompt out;
  out.tokens.resize(std::size_t(count));
  const std::byte* ids = in.take(std::uint64_t(count) * sizeof(Token), "tokens");
  if (count > 0) std::memcpy(out.tokens.data(), ids, out.tokens.size() * sizeof(Token));
  out.kv = in.take(std::uint64_t(size), "keys and values");
  if (in.text(kSumBytes, "the sum") != sum.hex())
    throw input_error(in.where(), "its sum is wrong: the file is damaged");
  for (const Token t : out.tokens)
    if (t < 0 || t >= identity.vocab)
      throw input_error(in.where(), "expected tokens in 0 ... {}, got {}", identity.vocab - 1, t);
  return out;
}

void fill_cache(const CachedPrompt& prompt, KvCache& cache) {
  PITH_CHECK(cache.sequences() == 1 && cache.length(0) == 0);
  if (cache.encoded()) throw input_error("prompt cache", "expected keys and values in f32, got encoded ones");
  const dim values = dim(prompt.tokens.size()) * cache.head_dim();
  const std::byte* at = prompt.kv;
  for_each_head(cache, [&](float* rows) {
    if (values == 0) return;
    std::memcpy(rows, at, std::size_t(values) * sizeof(float));
    at += values * dim(sizeof(float));
    for (dim i = 0; i < values; ++i)
      if (!std::isfinite(rows[i])) throw input_error("prompt cache", "expected finite keys and values");
  });
  cache.grow(0, dim(prompt.tokens.size()));
}

}  // namespace pith
