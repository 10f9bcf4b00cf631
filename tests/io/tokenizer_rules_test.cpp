// Normalizers, pre-tokenizers and decoders. Every expected value was computed with Hugging Face's tokenizers 0.23.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/tokenizer/json.h"
#include "io/tokenizer/normalize.h"

namespace pith {
namespace {

using nlohmann::json;

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

TEST(TokenizerRules, EveryNamedPretokenizerKeepsTheWholeText) {
  for (const PreRules& rules : pre_rules()) {
    std::vector<std::string_view> words;
    Pretokenizer::Storage storage;
    Pretokenizer(rules.steps()).split(kPreText, true, words, storage);
    std::string joined;
    for (const std::string_view word : words) joined += word;
    EXPECT_EQ(joined, kPreText) << rules.names.front();
    EXPECT_GT(words.size(), 4u) << rules.names.front();
  }
  EXPECT_EQ(find_pre_rules("nonsense"), nullptr);
  EXPECT_EQ(find_pre_rules("deepseek-r1-qwen"), find_pre_rules("qwen2"));
}

TEST(TokenizerRules, PatternsReadThemselvesInRealFiles) {  // as Qwen 3.5's and GLM's files spell them
  const auto name_of = [](const char* normalizer, const char* pattern) {
    TokenizerData data;
    tokenizer_json::read_pretokenizer(
        {{"type", "Sequence"},
         {"pretokenizers",
          {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
           {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}},
        data);
    data.split.pop_back();  // spelled bytes at the end are how the vocabulary spells them anyway
    if (normalizer) tokenizer_json::read_normalizer({{"type", normalizer}}, data);
    return pre_name(data);
  };
  EXPECT_EQ(
      name_of(
          "NFC",
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
      "qwen35");
  EXPECT_EQ(
      name_of(
          nullptr,
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
      "dbrx");
  EXPECT_EQ(name_of("NFKC", R"(\p{N})"), "");
  EXPECT_EQ(name_of(nullptr, R"(\p{L}+)"), "");
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

}  // namespace
}  // namespace pith
