// Broken tokenizer files are refused with a message; any bytes are a text.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/tokenizer.h"

namespace pith {
namespace {

using nlohmann::json;
using Ids = std::vector<Token>;

// Byte-level: "a" "b" "c" "ab" "abc", Ġ, é's two bytes, and one control token.
json small() {
  return json::parse(R"({
    "added_tokens": [{"id": 8, "content": "<end>", "special": true, "normalized": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "Ġ": 5, "Ã": 6, "©": 7},
              "merges": ["a b", "ab c"]}})");
}

void expect_refused(const json& file, const std::string& message, const std::string& config = "") {
  try {
    Tokenizer::from_json(file.dump(), config);
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.blame(), Blame::input);
    EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
  }
}

json with(const char* pointer, json value) {
  json file = small();
  file[json::json_pointer(pointer)] = std::move(value);
  return file;
}

TEST(TokenizerHostile, TheUnbrokenFileWorks) {
  const Tokenizer tokenizer = Tokenizer::from_json(small().dump());
  EXPECT_EQ(tokenizer.encode("abcab ab<end>"), (Ids{4, 3, 5, 3, 8}));
  EXPECT_EQ(tokenizer.decode(Ids{6, 7, 5, 4, 8}), "\u00E9 abc");
  EXPECT_EQ(tokenizer.decode(Ids{6, 7, 5, 4, 8}, false), "\u00E9 abc<end>");
  EXPECT_EQ(tokenizer.piece(6), "\xC3");
  EXPECT_EQ(tokenizer.piece(8), "");
  EXPECT_EQ(tokenizer.vocab_size(), 9);
}

TEST(TokenizerHostile, MissingPartsAreNamed) {
  json no_model = small();
  no_model.erase("model");
  expect_refused(no_model, "expected model");
  expect_refused(json::array(), "expected an object");
  json no_vocab = small();
  no_vocab["model"].erase("vocab");
  expect_refused(no_vocab, "expected vocab");
  expect_refused(with("/model/vocab", json::object()), "it is empty");
  expect_refused(with("/model/type", "WordLevel"), "WordLevel");
  expect_refused(with("/model/merges", 3), "merges");
  EXPECT_THROW(Tokenizer::from_json("{"), Error);
  EXPECT_THROW(Tokenizer::from_json(""), Error);
  expect_refused(small(), "tokenizer_config.json", "[1]");
}

TEST(TokenizerHostile, IdsAreChecked) {
  expect_refused(with("/model/vocab/a", -1), "id of token 'a'");
  expect_refused(with("/model/vocab/a", 4'000'000'000), "id of token 'a'");
  expect_refused(with("/model/vocab/a", 1.5), "id of token 'a'");
  expect_refused(with("/model/vocab/a", "x"), "id of token 'a'");
  expect_refused(with("/model/vocab/a", 1), "one token for each id");
  expect_refused(with("/added_tokens/0/id", 3), "one token for each id");
  expect_refused(with("/added_tokens/0/id", 2'000'000'000), "id of token '<end>'");
  expect_refused(with("/added_tokens/0/content", "ab"), "one id for token 'ab'");
  std::string twice = small().dump();
  twice.replace(twice.find("\"b\":1"), 5, "\"a\":1");
  EXPECT_THROW(Tokenizer::from_json(twice), Error);
  const json post = json::parse(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<end>": {"id": "<end>", "ids": [99], "tokens": ["<end>"]}}})");
  expect_refused(with("/post_processor", post), "below 9");
}

TEST(TokenizerHostile, MergesAreChecked) {
  expect_refused(with("/model/merges/0", "a x"), "'x' is not");
  expect_refused(with("/model/merges/0", "b a"), "'ba' is not");
  expect_refused(with("/model/merges/0", "ab"), "two parts");
  expect_refused(with("/model/merges/0", "a b c"), "two parts");
  expect_refused(with("/model/merges/0", json::array({"a", 1})), "merges as");
}

TEST(TokenizerHostile, RulesAreChecked) {
  expect_refused(with("/normalizer", {{"type", "Nonsense"}}), "Nonsense");
  expect_refused(with("/normalizer", "NFC"), "expected an object");
  expect_refused(with("/decoder", {{"type", "CTC"}}), "CTC");
  expect_refused(with("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "!!!!"}}), "base64");
  const auto split = [](const char* pattern) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
  };
  for (const char* pattern : {"(", "[a", "a{2,1}", "\\", "[[a[b]]]", "[a&&b]", "(?<=a+)b", "\\C"})
    expect_refused(with("/pre_tokenizer", split(pattern)), "expected a regular expression");
  json deep = split("a");
  for (int i = 0; i < 100; ++i) deep = {{"type", "Sequence"}, {"pretokenizers", json::array({deep})}};
  expect_refused(with("/pre_tokenizer", deep), "nested");
}

TEST(TokenizerHostile, CostlyPatternsEndInAnError) {
  const json rule = {{"type", "Split"}, {"pattern", {{"Regex", "(a+)+$"}}}, {"behavior", "Isolated"}};
  const Tokenizer tokenizer = Tokenizer::from_json(with("/pre_tokenizer", rule).dump());
  EXPECT_THROW((void)tokenizer.encode(std::string(64, 'a') + "b"), Error);
}

TEST(TokenizerHostile, AnyBytesAreAText) {
  const Tokenizer tokenizer = Tokenizer::from_json(with("/model/vocab", json::parse(R"({"a": 0, "b": 1, "c": 2,
      "ab": 3, "abc": 4, "Ġ": 5, "Ã": 6, "©": 7, "ï": 9, "¿": 10, "½": 11})"))
                                                       .dump());
  // Each maximal broken part is one U+FFFD, bytes EF BF BD (Unicode 15, table 3-8).
  const Ids bad{9, 10, 11};
  const auto expected = [&](std::initializer_list<int> parts) {  // -1: U+FFFD
    Ids ids;
    for (const int part : parts) {
      if (part < 0) ids.insert(ids.end(), bad.begin(), bad.end());
      if (part >= 0) ids.push_back(part);
    }
    return ids;
  };
  EXPECT_EQ(tokenizer.encode("a\xFF"
                             "b"),
            expected({0, -1, 1}));
  EXPECT_EQ(tokenizer.encode("a\xF1\x80\x80\xE1\x80\xC2"
                             "b"),
            expected({0, -1, -1, -1, 1}));
  EXPECT_EQ(tokenizer.encode("\xED\xA0\x80"), expected({-1, -1, -1}));  // a surrogate
  EXPECT_EQ(tokenizer.encode("\xC0\xAF"), expected({-1, -1}));          // an overlong slash
  EXPECT_EQ(tokenizer.encode("\xE2\x98"), expected({-1}));              // cut short
  std::string all;
  for (int i = 0; i < 65536; ++i) all += {char(i), char(i >> 8)};
  EXPECT_NO_THROW((void)tokenizer.encode(all));
}

TEST(TokenizerHostile, TokensOutsideTheVocabularyAreRefused) {
  const Tokenizer tokenizer = Tokenizer::from_json(small().dump());
  EXPECT_THROW((void)tokenizer.decode(Ids{9}), Error);
  EXPECT_THROW((void)tokenizer.decode(Ids{-1}), Error);
  EXPECT_EQ(tokenizer.piece(9), "");
}

GgufMeta small_gguf() {
  GgufMeta meta;
  Tokenizer::from_json(small().dump()).to_gguf(meta, 12);
  return meta;
}

void expect_refused(const GgufMeta& meta, const std::string& message) {
  try {
    Tokenizer::from_gguf(meta);
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
  }
}

TEST(TokenizerHostile, GgufMetadataIsChecked) {
  EXPECT_EQ(Tokenizer::from_gguf(small_gguf()).encode("abcab"), (Ids{4, 3}));
  const auto changed = [](const char* name, GgufValue value) {
    GgufMeta meta = small_gguf();
    meta.set(std::string("tokenizer.ggml.") + name, std::move(value));
    return meta;
  };
  expect_refused(GgufMeta(), "tokenizer.ggml.model");
  expect_refused(changed("model", std::string("rwkv")), "rwkv");
  expect_refused(changed("pre", std::string("nonsense")), "nonsense");
  expect_refused(changed("tokens", GgufArray{std::vector<std::string>{}}), "tokens");
  expect_refused(changed("tokens", std::uint32_t(3)), "tokens");
  expect_refused(changed("token_type", GgufArray{std::vector<std::int32_t>{1}}), "expected 12 entries");
  expect_refused(changed("token_type", GgufArray{std::vector<std::int32_t>(12, 9)}), "expected 1 to 6");
  expect_refused(changed("scores", GgufArray{std::vector<float>(3)}), "expected 12 entries");
  expect_refused(changed("merges", GgufArray{std::vector<std::string>{"a z"}}), "'z'");
  expect_refused(changed("merges", GgufArray{std::vector<std::string>{"ab"}}), "two parts");
  expect_refused(changed("bos_token_id", std::uint32_t(12)), "below 12");
  expect_refused(changed("model", std::string("llama")), "expected scores");
}

TEST(TokenizerHostile, GgufIsPaddedAndNamesWhatItCannotHold) {
  const GgufMeta meta = small_gguf();
  const auto& tokens = meta.get_strings("tokenizer.ggml.tokens");
  EXPECT_EQ(tokens[8], "<end>");
  EXPECT_EQ(tokens[9], "[PAD9]");
  EXPECT_EQ(meta.find_ints("tokenizer.ggml.token_type"),
            (std::vector<std::int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 3, 5, 5, 5}));
  EXPECT_EQ(meta.get_strings("tokenizer.ggml.merges"), (std::vector<std::string>{"a b", "ab c"}));
  EXPECT_EQ(meta.get_string("tokenizer.ggml.pre"), "gpt-2");

  GgufMeta out;
  const json rule = {{"type", "Sequence"},
                     {"pretokenizers",
                      {{{"type", "Split"}, {"pattern", {{"Regex", "q+"}}}, {"behavior", "Isolated"}},
                       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  EXPECT_THROW(Tokenizer::from_json(with("/pre_tokenizer", rule).dump()).to_gguf(out, 9), Error);
  EXPECT_THROW(Tokenizer::from_json(small().dump()).to_gguf(out, 7), Error);  // a token without a row
  EXPECT_NO_THROW(Tokenizer::from_json(small().dump()).to_gguf(out, 8));      // only <end> has none
}

TEST(TokenizerHostile, LongRunsAreNotQuadratic) {
  const Tokenizer tokenizer = Tokenizer::from_json(small().dump());
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "ab";
  EXPECT_EQ(tokenizer.encode(text), Ids(300'000, 3));
}

}  // namespace
}  // namespace pith
