// Normalizers, pre-tokenizers, decoders, added tokens and small vocabularies. Every expected value was
// computed with Hugging Face's tokenizers 0.23.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/tokenizer.h"
#include "io/tokenizer_json.h"
#include "io/tokenizer_normalize.h"

namespace pith {
namespace {

using nlohmann::json;
using Ids = std::vector<Token>;

struct PreCase {
  const char* rule;
  std::vector<std::string> words;
};

constexpr const char* kPreText = "Hey  you're 123 n\302\26045, ok?!\n  \303\274n\303\257\342\226\201x";

std::vector<std::string> words_of(const char* rule, std::string_view text) {
  TokenizerData data;
  tokenizer_json::read_pretokenizer(json::parse(rule), data);
  std::vector<std::string_view> words;
  Pretokenizer::Storage storage;
  Pretokenizer(data.split).split(text, true, words, storage);
  return {words.begin(), words.end()};
}

TEST(TokenizerRules, PretokenizersCutAsExpected) {
  const PreCase cases[] = {
      {R"({"type": "Digits", "individual_digits": true})",
       {"Hey  you're ", "1", "2", "3", " n\302\260", "4", "5", ", ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Digits", "individual_digits": false})",
       {"Hey  you're ", "123", " n\302\260", "45", ", ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Punctuation", "behavior": "Isolated"})",
       {"Hey  you", "'", "re 123 n\302\26045", ",", " ok", "?", "!", "\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Punctuation", "behavior": "Contiguous"})",
       {"Hey  you", "'", "re 123 n\302\26045", ",", " ok", "?!", "\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "WhitespaceSplit"})",
       {"Hey", "you're", "123", "n\302\26045,", "ok?!", "\303\274n\303\257\342\226\201x"}},
      {R"({"type": "Whitespace"})",
       {"Hey", "you", "'", "re", "123", "n", "\302\260", "45", ",", "ok", "?!", "\303\274n\303\257", "\342\226\201",
        "x"}},
      {R"({"type": "BertPreTokenizer"})",
       {"Hey", "you", "'", "re", "123", "n\302\26045", ",", "ok", "?", "!", "\303\274n\303\257\342\226\201x"}},
      {R"({"type": "CharDelimiterSplit", "delimiter": ","})",
       {"Hey  you're 123 n\302\26045", " ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true})",
       {"\342\226\201Hey", "\342\226\201", "\342\226\201you're", "\342\226\201123", "\342\226\201n\302\26045,",
        "\342\226\201ok?!\n", "\342\226\201", "\342\226\201\303\274n\303\257", "\342\226\201x"}},
      {R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": false})",
       {"Hey\342\226\201\342\226\201you're\342\226\201123\342\226\201n\302\26045,\342\226\201ok?!"
        "\n\342\226\201\342\226\201\303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "Removed", "invert": false})",
       {"Hey  you're ", " n\302\260", " ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "Isolated", "invert": false})",
       {"Hey  you're ", "123", " n\302\260", "45", ",", " ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "MergedWithPrevious", "invert": false})",
       {"Hey  you're 123", " n\302\26045", ",", " ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "MergedWithNext", "invert": false})",
       {"Hey  you're ", "123 n\302\260", "45", ", ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "Contiguous", "invert": false})",
       {"Hey  you're ", "123", " n\302\260", "45,", " ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\d+|,"}, "behavior": "Removed", "invert": true})",
       {"123", "45", ","}},
      {R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": false})",
       {"Hey", " ", " you're", " 123", " n\302\26045,", " ok?!\n", " ", " \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "[a-z&&[^eo]]+"}, "behavior": "Isolated", "invert": false})",
       {"He", "y", "  ", "y", "o", "u", "'", "r", "e 123 ", "n", "\302\26045, o", "k", "?!\n  \303\274", "n",
        "\303\257\342\226\201", "x"}},
      {R"({"type": "Split", "pattern": {"Regex": "[^[aeiou]\\s]+"}, "behavior": "Isolated", "invert": false})",
       {"H", "e", "y", "  ", "y", "ou", "'r", "e ", "123", " ", "n\302\26045,", " o", "k?!", "\n  ",
        "\303\274n\303\257\342\226\201x"}},
      {R"x({"type": "Split", "pattern": {"Regex": "(?=\\d)"}, "behavior": "Isolated", "invert": false})x",
       {"Hey  you're ", "1", "2", "3 n\302\260", "4", "5, ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\s+$"}, "behavior": "Isolated", "invert": false})",
       {"Hey  you're 123 n\302\26045, ok?!\n  \303\274n\303\257\342\226\201x"}},
      {R"({"type": "Split", "pattern": {"Regex": "\\h"}, "behavior": "Isolated", "invert": false})",
       {"H", "e", "y  you'r", "e", " ", "1", "2", "3", " n\302\260", "4", "5",
        ", ok?!\n  \303\274n\303\257\342\226\201x"}},
  };
  for (const PreCase& c : cases) EXPECT_EQ(words_of(c.rule, kPreText), c.words) << c.rule;
}

TEST(TokenizerRules, WhiteSpaceIsUnicodes) {  // U+180E is none, U+1680 and U+0085 are
  EXPECT_EQ(words_of(R"({"type":"Split","pattern":{"Regex":"\\s"},"behavior":"Isolated"})",
                     "a\341\240\216b\341\232\200c \302\205d"),
            (std::vector<std::string>{"a\341\240\216b", "\341\232\200", "c", " ", "\302\205", "d"}));
}

struct NormalCase {
  const char* rule;
  std::string out;
};

TEST(TokenizerRules, NormalizersRewriteAsExpected) {
  const char raw[] =
      "  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
      "\345\214\227\344\272\254\t\000x\007  ";
  const std::string text(raw, sizeof raw - 1);
  const NormalCase cases[] = {
      {R"({"type": "NFC"})", std::string("  \303\234n\303\257code \357\254\201 \303\205 \303\251 \304\260\303\237 "
                                         "\345\214\227\344\272\254\t\000x\007  ",
                                         sizeof "  \303\234n\303\257code \357\254\201 \303\205 \303\251 "
                                                "\304\260\303\237 \345\214\227\344\272\254\t\000x\007  " -
                                             1)},
      {R"({"type": "NFD"})", std::string("  U\314\210ni\314\210code \357\254\201 A\314\212 e\314\201 I\314\207\303\237 "
                                         "\345\214\227\344\272\254\t\000x\007  ",
                                         sizeof "  U\314\210ni\314\210code \357\254\201 A\314\212 e\314\201 "
                                                "I\314\207\303\237 \345\214\227\344\272\254\t\000x\007  " -
                                             1)},
      {R"({"type": "NFKC"})",
       std::string(
           "  \303\234n\303\257code fi \303\205 \303\251 \304\260\303\237 \345\214\227\344\272\254\t\000x\007  ",
           sizeof "  \303\234n\303\257code fi \303\205 \303\251 \304\260\303\237 \345\214\227\344\272\254\t\000x\007 "
                  " " -
               1)},
      {R"({"type": "NFKD"})",
       std::string(
           "  U\314\210ni\314\210code fi A\314\212 e\314\201 I\314\207\303\237 \345\214\227\344\272\254\t\000x\007  ",
           sizeof "  U\314\210ni\314\210code fi A\314\212 e\314\201 I\314\207\303\237 "
                  "\345\214\227\344\272\254\t\000x\007  " -
               1)},
      {R"({"type": "Lowercase"})", std::string("  \303\274n\303\257code \357\254\201 \303\245 e\314\201 "
                                               "i\314\207\303\237 \345\214\227\344\272\254\t\000x\007  ",
                                               sizeof "  \303\274n\303\257code \357\254\201 \303\245 e\314\201 "
                                                      "i\314\207\303\237 \345\214\227\344\272\254\t\000x\007  " -
                                                   1)},
      {R"({"type": "StripAccents"})",
       std::string(
           "  \303\234n\303\257code \357\254\201 \342\204\253 e \304\260\303\237 \345\214\227\344\272\254\t\000x\007  ",
           sizeof "  \303\234n\303\257code \357\254\201 \342\204\253 e \304\260\303\237 "
                  "\345\214\227\344\272\254\t\000x\007  " -
               1)},
      {R"({"type": "Strip", "strip_left": true, "strip_right": false})",
       std::string("\303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                   "\345\214\227\344\272\254\t\000x\007  ",
                   sizeof "\303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                          "\345\214\227\344\272\254\t\000x\007  " -
                       1)},
      {R"({"type": "Strip", "strip_left": false, "strip_right": true})",
       std::string("  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                   "\345\214\227\344\272\254\t\000x\007",
                   sizeof "  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                          "\345\214\227\344\272\254\t\000x\007" -
                       1)},
      {R"({"type": "Prepend", "prepend": "\u2581"})",
       std::string("\342\226\201  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                   "\345\214\227\344\272\254\t\000x\007  ",
                   sizeof "\342\226\201  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                          "\345\214\227\344\272\254\t\000x\007  " -
                       1)},
      {R"({"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"})",
       std::string("\342\226\201\342\226\201\303\234n\303\257code\342\226\201\357\254\201\342\226\201\342\204\253\342"
                   "\226\201e\314\201\342\226\201\304\260\303\237\342\226\201\345\214\227\344\272\254\t\000x\007\342"
                   "\226\201\342\226\201",
                   sizeof "\342\226\201\342\226\201\303\234n\303\257code\342\226\201\357\254\201\342\226\201\342\204"
                          "\253\342\226\201e\314\201\342\226\201\304\260\303\237\342\226\201\345\214\227\344\272\254\t"
                          "\000x\007\342\226\201\342\226\201" -
                       1)},
      {R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})",
       std::string(" \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                   "\345\214\227\344\272\254\t\000x\007 ",
                   sizeof " \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 "
                          "\345\214\227\344\272\254\t\000x\007 " -
                       1)},
      {R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})",
       "  unicode \357\254\201 a e i\303\237  \345\214\227  \344\272\254  x  "},
      {R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": false, "strip_accents": false, "lowercase": false})",
       "  \303\234n\303\257code \357\254\201 \342\204\253 e\314\201 \304\260\303\237 \345\214\227\344\272\254 x  "},
      {R"({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]})",
       std::string("  unicode \357\254\201 a e i\303\237 \345\214\227\344\272\254\t\000x\007  ",
                   sizeof "  unicode \357\254\201 a e i\303\237 \345\214\227\344\272\254\t\000x\007  " - 1)},
  };
  for (const NormalCase& c : cases) {
    TokenizerData data;
    tokenizer_json::read_normalizer(json::parse(c.rule), data);
    EXPECT_EQ(Normalizer(data.normalize).apply(text), c.out) << c.rule;
    data.normalize.clear();
  }
}

struct DecodeCase {
  const char* rule;
  std::vector<std::string> pieces;
  const char* out;
};

TEST(TokenizerRules, DecodersJoinAsExpected) {
  const DecodeCase cases[] = {
      {R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})",
       {"Hello", "\304\240wor", "ld", "\303\203", "\302\251", "\304\240\303\203", "<|x y|>"},
       "Hello world\303\251 \357\277\275<|x y|>"},
      {R"({"type": "ByteFallback"})",
       {"a", "<0xC3>", "<0xA9>", "b", "<0xC3>", "c", "<0xE2>", "<0x82>"},
       "a\303\251b\357\277\275c\357\277\275\357\277\275"},
      {R"({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})",
       {"\342\226\201\342\226\201Hi", "\342\226\201you", "<0x0A>", "\342\226\201"},
       " Hi you\n "},
      {R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true})",
       {"\342\226\201Hi", "\342\226\201you", "\342\226\201\342\226\201x"},
       "Hi you  x"},
      {R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": true})",
       {"\342\226\201Hi", "\342\226\201you", "\342\226\201\342\226\201x"},
       " Hi you  x"},
      {R"({"type": "WordPiece", "prefix": "##", "cleanup": true})",
       {"he", "##llo", "wor", "##ld", ".", "do", "n't", "it", "'s"},
       "hello world. don't it's"},
      {R"({"type": "WordPiece", "prefix": "##", "cleanup": false})", {"##llo", "wor", "##ld", "."}, "##llo world ."},
  };
  for (const DecodeCase& c : cases) {
    TokenizerData data;
    tokenizer_json::read_decoder(json::parse(c.rule), data);
    EXPECT_EQ(Decoder(data.decode, false).apply(c.pieces), c.out) << c.rule;
  }
}

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

TEST(TokenizerRules, AddedTokensFollowTheirFlags) {
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

TEST(TokenizerRules, ControlTokensMayBePlainText) {
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

TEST(TokenizerRules, UnigramTakesTheLikeliestCut) {
  const Tokenizer tokenizer = Tokenizer::from_json(kUnigram);
  for (const Encoded& c : kUnigramCases) EXPECT_EQ(tokenizer.encode(c.text), c.ids) << c.text;
  EXPECT_EQ(tokenizer.kind(), "unigram");
  EXPECT_EQ(tokenizer.decode(Ids{7, 6, 7, 3}), "abc ab");
}

TEST(TokenizerRules, UnigramSurvivesGguf) {
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

TEST(TokenizerRules, WordPieceTakesTheLongestPiece) {
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

TEST(TokenizerRules, CharsmapReplacesWhatItKnows) {
  EXPECT_EQ(Charsmap(small_charsmap()).apply("bAnAnA \303\274"), "babnabnab \303\274");
}

TEST(TokenizerRules, BrokenCharsmapsAreRefusedOrDoNothing) {
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
