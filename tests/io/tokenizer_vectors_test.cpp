// Real vocabularies against ids from other implementations, and through GGUF and back.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "io/tokenizer.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using nlohmann::json;
using Ids = std::vector<Token>;

struct Case {
  std::string text, decoded;
  Ids ids;
};

// The cases were made without the tokens around a text (Llama 3 would begin with 128000), with special
// tokens parsed, and decoded with special tokens shown. An empty text has no ids and no decoding.
std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const json item = json::parse(line);
    Case c{.text = item["text"], .decoded = item.value("decoded", ""), .ids = {}};
    if (item.contains("ids")) c.ids = item["ids"].get<Ids>();
    cases.push_back(c);
  }
  return cases;
}

// transformers' clean_up_tokenization_spaces, which some of the decodings went through.
std::string cleaned(std::string text) {
  const std::pair<std::string, std::string> rules[] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                                       {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                                       {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : rules)
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  return text;
}

struct Expected {
  const char* name;
  const char* pre;
  Token bos, eos;
  bool adds_bos;
};

void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.name; }

class TokenizerVectors : public testing::TestWithParam<Expected> {};

TEST_P(TokenizerVectors, IdsAndTextAreKept) {
  const std::string name = GetParam().name;
  PITH_NEED_DATA(folder, "tokenizers/" + name);
  PITH_NEED_DATA(vectors, "tokenizer_vectors/" + name + ".jsonl");
  const std::string config = test::read_file(folder / "tokenizer_config.json");
  const Tokenizer tokenizer = Tokenizer::from_json(test::read_file(folder / "tokenizer.json"), config);
  EXPECT_EQ(tokenizer.pre(), GetParam().pre);
  EXPECT_EQ(tokenizer.bos(), GetParam().bos);
  EXPECT_EQ(tokenizer.eos(), GetParam().eos);
  EXPECT_EQ(tokenizer.adds_bos(), GetParam().adds_bos);

  GgufMeta meta;
  tokenizer.to_gguf(meta, tokenizer.vocab_size() + 3);
  const Tokenizer from_gguf = Tokenizer::from_gguf(meta);
  EXPECT_EQ(from_gguf.vocab_size(), tokenizer.vocab_size() + 3);
  EXPECT_EQ(from_gguf.adds_bos(), GetParam().adds_bos);
  EXPECT_EQ(from_gguf.end_tokens(), tokenizer.end_tokens());
  EXPECT_EQ(from_gguf.chat_template(), tokenizer.chat_template());
  const Tokenizer again = Tokenizer::from_json(from_gguf.to_tokenizer_json(), from_gguf.to_tokenizer_config_json());

  const bool clean = json::parse(config).value("clean_up_tokenization_spaces", false);
  const std::vector<Case> cases = read_cases(vectors);
  EXPECT_EQ(cases.size(), 334u);
  for (const Case& c : cases) {
    EXPECT_EQ(tokenizer.encode(c.text, false), c.ids) << c.text;
    EXPECT_EQ(from_gguf.encode(c.text, false), c.ids) << "from GGUF: " << c.text;
    EXPECT_EQ(again.encode(c.text, false), c.ids) << "GGUF, then JSON: " << c.text;
    for (const Tokenizer* t : {&tokenizer, &from_gguf, &again}) {
      const std::string text = t->decode(c.ids, false);
      EXPECT_EQ(clean ? cleaned(text) : text, c.decoded);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Real, TokenizerVectors,
                         testing::Values(Expected{"smollm2_hypertensor", "gpt-2", 1, 2, false},
                                         Expected{"tiny_random_gpt2_ortgenai", "gpt-2", 50256, 50256, false},
                                         Expected{"qwen3", "qwen2", -1, 151645, false},
                                         Expected{"llama3_1", "llama-bpe", 128000, 128009, true},
                                         Expected{"mistral_v0.1_from_lenml_llama2", "default", 1, 2, true},
                                         Expected{"phi3v_ortgenai", "default", 1, 32000, true},
                                         Expected{"gemma3", "default", 2, 106, true}),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// Cases of llama.cpp's own vocabularies: ids from transformers, without tokens around the text, special
// tokens as text.
class GgufVocabulary : public testing::TestWithParam<const char*> {};

void check_pairs(const Tokenizer& tokenizer, const std::filesystem::path& inputs,
                 const std::filesystem::path& outputs) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string all = test::read_file(inputs);
  std::ifstream lines(outputs);
  dim cases = 0;
  for (std::size_t at = 0; at < all.size(); ++cases) {
    const std::size_t end = all.find(separator, at);
    ASSERT_NE(end, std::string::npos);
    const std::string text = all.substr(at, end - at);
    at = end + separator.size();
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    std::istringstream numbers(line);
    Ids ids;
    for (Token id = 0; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(tokenizer.encode(text, false, false), ids) << text;
  }
  EXPECT_EQ(cases, 46);
}

TEST_P(GgufVocabulary, GivesTheIdsOfTransformers) {
  const std::string name = std::string("ggml-vocab-") + GetParam() + ".gguf";
  PITH_NEED_DATA(path, "gguf_vocab/" + name);
  const GgufFile file(path);
  const Tokenizer tokenizer = Tokenizer::from_gguf(file.meta());
  for (const char* revision : {"rev-2025-02", "rev-2026-05"}) {
    const auto base = test::data_folder() / "gguf_vocab" / revision / name;
    check_pairs(tokenizer, base.string() + ".inp", base.string() + ".out");
  }
}

INSTANTIATE_TEST_SUITE_P(LlamaCpp, GgufVocabulary,
                         testing::Values("bert-bge", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "llama-spm",
                                         "mpt", "phi-3", "refact", "starcoder"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(TokenizerModels, OneVocabularyInTwoFilesGivesOneText) {
  PITH_NEED_DATA(folder, "models/stories260K");
  PITH_NEED_DATA(text_path, "text/tinystories_30k.txt");
  const Tokenizer from_json = Tokenizer::from_json(test::read_file(folder / "hf" / "tokenizer.json"));
  const GgufFile file(folder / "stories260K-f32.gguf");
  const Tokenizer from_gguf = Tokenizer::from_gguf(file.meta());
  const std::string text = test::read_file(text_path);
  const Ids ids = from_gguf.encode(text);
  EXPECT_EQ(ids, from_json.encode(text));
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(from_gguf.decode(ids), text);
  EXPECT_EQ(from_gguf.encode("Once upon a time"), from_json.encode("Once upon a time"));
  EXPECT_EQ(from_gguf.kind(), "sentencepiece bpe");
}

TEST(TokenizerModels, UnknownCharactersBecomeBytesOrUnknown) {
  PITH_NEED_DATA(with_bytes, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(without, "models/babyllama_tok105/babyllama_tok105-f32.gguf");
  const GgufFile bytes_file(with_bytes), plain_file(without);
  const Tokenizer bytes = Tokenizer::from_gguf(bytes_file.meta());
  const Ids snowman = bytes.encode("\u2603", false);
  ASSERT_EQ(snowman.size(), 4u);  // the space in front, then <0xE2> <0x98> <0x83>
  EXPECT_EQ((Ids{snowman[1], snowman[2], snowman[3]}), (Ids{3 + 0xE2, 3 + 0x98, 3 + 0x83}));
  EXPECT_EQ(bytes.piece(3 + 0xE2), "\xE2");
  EXPECT_EQ(bytes.decode(snowman), "\u2603");
  const Tokenizer plain = Tokenizer::from_gguf(plain_file.meta());
  const Ids unknown = plain.encode("\u2603\u2603", false);
  EXPECT_EQ(unknown, (Ids{3, 0}));  // neighbours are one unknown
}

}  // namespace
}  // namespace pith
