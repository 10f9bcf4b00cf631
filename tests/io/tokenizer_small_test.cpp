// Added tokens and small vocabularies of each kind. The expected ids were computed with Hugging Face's
// tokenizers 0.23.
#include <gtest/gtest.h>

#include "core/error.h"
#include "io/tokenizer.h"
#include "io/tokenizer/normalize.h"

namespace pith {
namespace {

using Ids = std::vector<Token>;

struct Encoded {
  const char* text;
  Ids ids;
};

constexpr const char* kAdded =
    R"({"version": "1.0", "normalizer": {"type": "Lowercase"}, )"
    R"("pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null, )"
    R"("model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": false, "vocab": {"<unk>": 0, "a": 1, )"
    R"("b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10, "k": 11, "l": 12, "m": 13, )"
    R"("n": 14, "o": 15, "p": 16, "q": 17, "r": 18, "s": 19, "t": 20, "u": 21, "v": 22, "w": 23, "x": 24, )"
    R"("y": 25, "z": 26, "th": 27, "the": 28}, "merges": ["t h", "th e"]}, "added_tokens": [{"id": 0, )"
    R"("content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, )"
    R"("special": true}, {"id": 29, "content": "<l>", "single_word": false, "lstrip": true, )"
    R"("rstrip": false, "normalized": false, "special": false}, {"id": 30, "content": "<r>", )"
    R"("single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": false}, )"
    R"({"id": 31, "content": "foo", "single_word": true, "lstrip": false, "rstrip": false, )"
    R"("normalized": false, "special": false}, {"id": 32, "content": "Bar", "single_word": false, )"
    R"("lstrip": false, "rstrip": false, "normalized": true, "special": false}, {"id": 33, )"
    R"("content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, )"
    R"("special": true}, {"id": 34, "content": "<s>x", "single_word": false, "lstrip": false, )"
    R"("rstrip": false, "normalized": false, "special": false}, {"id": 35, "content": "BAZ", )"
    R"("single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}]})";

TEST(TokenizerSmall, AddedTokensFollowTheirFlags) {
  const Tokenizer tokenizer = Tokenizer::from_json(kAdded);
  const Encoded cases[] = {
      {"the <l> the", {28, 29, 28}},
      {"a <r>  b", {1, 30, 2}},
      {"foo food afoo foo.", {31, 6, 15, 15, 4, 1, 6, 15, 15, 31, 0}},
      {"bar BAR Bar", {32, 32, 32}},
      {"<s>the<s>x<s>", {33, 28, 34, 33}},
      {"BAZ baz", {35, 2, 1, 26}},
      {"  <l>", {29}},
      {"<r>\343\200\200\n x", {30, 24}},
      {"?the?", {0, 28, 0}},
      {"a<unk>b", {1, 0, 2}},
  };
  for (const Encoded& c : cases) EXPECT_EQ(tokenizer.encode(c.text, false), c.ids) << c.text;
}

TEST(TokenizerSmall, ControlTokensMayBePlainText) {
  const Tokenizer tokenizer = Tokenizer::from_json(kAdded);
  EXPECT_EQ(tokenizer.encode("<s>a", false, true), (Ids{33, 1}));
  EXPECT_EQ(tokenizer.encode("<s>a", false, false), (Ids{0, 19, 0, 1}));
  EXPECT_EQ(tokenizer.encode("<s>xa", false, false), (Ids{34, 1}));  // not a control token, so still found
  EXPECT_TRUE(tokenizer.is_special(33));
  EXPECT_FALSE(tokenizer.is_special(34));
  EXPECT_FALSE(tokenizer.is_special(-1));
}

constexpr const char* kUnigram =
    R"({"version": "1.0", "added_tokens": [{"id": 0, "content": "<unk>", "single_word": false, )"
    R"("lstrip": false, "rstrip": false, "normalized": false, "special": true}], "normalizer": null, )"
    R"("pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", )"
    R"("split": true}, "post_processor": null, "decoder": {"type": "Metaspace", "replacement": "\u2581", )"
    R"("prepend_scheme": "always", "split": true}, "model": {"type": "Unigram", "unk_id": 0, )"
    R"("vocab": [["<unk>", 0.0], ["\u2581", -2.0], ["a", -2.5], ["b", -2.75], ["c", -3.0], ["ab", -4.5], )"
    R"(["bc", -3.5], ["\u2581a", -3.25], ["\u2581abc", -7.5], ["cab", -5.0], ["\u00e9", -6.0]], )"
    R"("byte_fallback": false}})";

const Encoded kUnigramCases[] = {
    {"abc", {7, 6}},
    {"ab abc", {7, 3, 7, 6}},
    {"cabab", {1, 9, 5}},
    {"\303\251a", {1, 10, 2}},
    {"xya b", {1, 0, 2, 1, 3}},
    {"x", {1, 0}},
    {"", {}},
    {"a  b", {7, 1, 1, 3}},
};

TEST(TokenizerSmall, UnigramTakesTheLikeliestCut) {
  const Tokenizer tokenizer = Tokenizer::from_json(kUnigram);
  for (const Encoded& c : kUnigramCases) EXPECT_EQ(tokenizer.encode(c.text), c.ids) << c.text;
  EXPECT_EQ(tokenizer.kind(), "unigram");
  EXPECT_EQ(tokenizer.decode(Ids{7, 6, 7, 3}), "abc ab");
}

TEST(TokenizerSmall, UnigramSurvivesGguf) {
  GgufMeta meta;
  Tokenizer::from_json(kUnigram).to_gguf(meta, 16);
  EXPECT_EQ(meta.get_string("tokenizer.ggml.model"), "t5");
  const Tokenizer tokenizer = Tokenizer::from_gguf(meta);
  const Tokenizer again = Tokenizer::from_json(tokenizer.to_tokenizer_json());
  for (const Encoded& c : kUnigramCases) {
    EXPECT_EQ(tokenizer.encode(c.text, false), c.ids) << c.text;
    EXPECT_EQ(again.encode(c.text, false), c.ids) << c.text;
  }
}

constexpr const char* kWordPiece =
    R"({"version": "1.0", "added_tokens": [], "normalizer": {"type": "BertNormalizer", "clean_text": true, )"
    R"("handle_chinese_chars": true, "strip_accents": null, "lowercase": true}, )"
    R"("pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "BertProcessing", )"
    R"("sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}, "decoder": {"type": "WordPiece", "prefix": "##", )"
    R"("cleanup": true}, "model": {"type": "WordPiece", "unk_token": "[UNK]", )"
    R"("continuing_subword_prefix": "##", "max_input_chars_per_word": 6, "vocab": {"[UNK]": 0, "[CLS]": 1, )"
    R"("[SEP]": 2, "un": 3, "##aff": 4, "##able": 5, "unaff": 6, "!": 7, "##a": 8, "\u4eac": 9, "a": 10}}})";

const Encoded kWordPieceCases[] = {
    {"Una!", {1, 3, 8, 7, 2}},        {"unaffa", {1, 6, 8, 2}},
    {"unaffable", {1, 0, 2}},         {"UNAFF \303\274naff", {1, 6, 6, 2}},
    {"\344\272\254a", {1, 9, 10, 2}}, {"unx un", {1, 0, 3, 2}},
};

TEST(TokenizerSmall, WordPieceTakesTheLongestPiece) {
  const Tokenizer tokenizer = Tokenizer::from_json(kWordPiece);
  for (const Encoded& c : kWordPieceCases) EXPECT_EQ(tokenizer.encode(c.text), c.ids) << c.text;
  EXPECT_EQ(tokenizer.decode(Ids{3, 4, 5, 7}), "unaffable!");
}

// SentencePiece's compiled map: "A" -> "ab" in the smallest double array that holds it.
std::string small_charsmap() {
  std::vector<std::uint32_t> units(0x142, 0);
  units[0] = 0x100 << 10;                     // the root's children are at 0x100 ^ byte
  units[0x141] = 1 << 10 | 1 << 8 | 'A';      // its value is at 0x141 ^ 1
  units[0x140] = std::uint32_t(1) << 31 | 2;  // third byte of the strings
  std::string map;
  const auto add = [&](std::uint32_t v) {
    for (int i = 0; i < 4; ++i) map += char(v >> (8 * i));
  };
  add(std::uint32_t(units.size() * 4));
  for (const std::uint32_t unit : units) add(unit);
  return map + std::string("x\0ab\0", 5);
}

TEST(TokenizerSmall, CharsmapReplacesWhatItKnows) {
  EXPECT_EQ(Charsmap(small_charsmap()).apply("bAnAnA \303\274"), "babnabnab \303\274");
}

TEST(TokenizerSmall, BrokenCharsmapsAreRefusedOrDoNothing) {
  EXPECT_THROW(Charsmap("abc"), Error);
  EXPECT_THROW(Charsmap(std::string("\xFF\xFF\0\0", 4)), Error);
  std::string map = small_charsmap();
  for (std::size_t at = 4; at < map.size(); at += 3) {
    std::string broken = map;
    broken[at] = char(broken[at] ^ 0x5A);
    EXPECT_LT(Charsmap(broken).apply("bAnAnA").size(), 64u);
  }
}

}  // namespace
}  // namespace pith
