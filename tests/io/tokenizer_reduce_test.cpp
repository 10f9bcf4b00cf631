// Vocabularies cut down to some of their tokens.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "core/error.h"
#include "io/files.h"
#include "io/tokenizer.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using Ids = std::vector<Token>;

constexpr const char* kSmall =
    R"({"version": "1.0", "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, )"
    R"("decoder": null, "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": false, "vocab": {"<unk>": 0, )"
    R"("a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6, "cab": 7}, "merges": ["a b", "b c", "ab c", "c ab"]}, )"
    R"("added_tokens": [{"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, )"
    R"("normalized": false, "special": true}, {"id": 8, "content": "<s>", "single_word": false, "lstrip": false, )"
    R"("rstrip": false, "normalized": false, "special": true}]})";

TEST(TokenizerReduce, ATokenBringsWhatItIsMergedFrom) {
  const Tokenizer whole = Tokenizer::from_json(kSmall);
  EXPECT_EQ(whole.selection(Ids{6}, 7), (Ids{0, 1, 2, 3, 4, 6, 8}));
  EXPECT_EQ(whole.selection(Ids{6}, 6), (Ids{0, 1, 2, 3, 8}));  // no room for ab and abc
  EXPECT_EQ(whole.selection(Ids{6, 5}, 6), (Ids{0, 1, 2, 3, 5, 8}));
  EXPECT_THROW((void)whole.selection(Ids{}, 4), Error);
}

TEST(TokenizerReduce, WhatIsLeftIsEncodedAsBeforeAndTheRestIsSpelled) {
  const Tokenizer whole = Tokenizer::from_json(kSmall);
  const Ids kept{0, 1, 2, 3, 4, 6, 8};
  const Tokenizer reduced = whole.reduced(kept), again = Tokenizer::from_json(reduced.to_tokenizer_json());
  for (const Tokenizer* t : {&reduced, &again}) {
    EXPECT_EQ(t->vocab_size(), 7);
    EXPECT_EQ(t->encode("abc", false), (Ids{5}));
    EXPECT_EQ(t->encode("cab", false), (Ids{3, 4}));  // was one token
    EXPECT_EQ(t->encode("bc", false), (Ids{2, 3}));
    EXPECT_EQ(t->encode("<s>ab", false), (Ids{6, 4}));
  }
}

// The most frequent tokens of a text; kept and encoded in every form that a model may carry.
void cut_to_text(const std::filesystem::path& folder, const std::string& text, const std::string& other) {
  const Tokenizer whole = Tokenizer::from_json(read_text_file(folder / "tokenizer.json"));
  const Ids ids = whole.encode(text, false);
  const Ids kept = whole.selection(ids, 24000);
  const Tokenizer reduced = whole.reduced(kept), json = Tokenizer::from_json(reduced.to_tokenizer_json());
  GgufMeta meta;
  reduced.to_gguf(meta, dim(kept.size()));
  const Tokenizer gguf = Tokenizer::from_gguf(meta);
  for (const Tokenizer* t : {&reduced, &json, &gguf}) {
    EXPECT_EQ(t->vocab_size(), dim(kept.size()));
    Ids back;
    for (const Token id : t->encode(text, false)) back.push_back(kept[std::size_t(id)]);
    EXPECT_EQ(back, ids);
    EXPECT_EQ(t->decode(t->encode(other, false)), whole.decode(whole.encode(other, false)));
  }
}

TEST(TokenizerReduce, RealVocabularies) {
  PITH_NEED_DATA(tokenizers, "tokenizers");
  PITH_NEED_DATA(wiki, "calibration/wiki.utf8");
  PITH_NEED_DATA(foreign, "calibration/multilingual.utf8");
  const std::string text = read_text_file(wiki).substr(0, 30000), other = read_text_file(foreign).substr(0, 5000);
  for (const char* name : {"smollm2_hypertensor", "gemma3"}) {
    SCOPED_TRACE(name);
    cut_to_text(tokenizers / std::filesystem::path(name), text, other);
  }
}

}  // namespace
}  // namespace pith
