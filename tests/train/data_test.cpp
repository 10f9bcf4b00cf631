// Texts and conversations become sequences.
#include "train/data.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

// Words are tokens; a conversation is "<role> content <end>" for each message.
constexpr const char* kTokenizer = R"({"version": "1.0",
  "added_tokens": [{"id": 0, "content": "<end>", "special": true}, {"id": 1, "content": "<user>", "special": true},
                   {"id": 2, "content": "<assistant>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"<end>": 0, "<user>": 1, "<assistant>": 2, "a": 3, "b": 4, "c": 5, "d": 6, "e": 7, "f": 8},
            "merges": []}})";
constexpr const char* kChat =
    R"({"eos_token": "<end>", "chat_template": "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"})";

class DataTest : public testing::Test {
 protected:
  test::TempFolder folder;
  Tokenizer tokenizer = Tokenizer::from_json(kTokenizer, kChat);
  Config config;
  DataTest() {
    config.vocab = 9;
    config.context = 64;
  }
  std::filesystem::path write(const char* name, const std::string& text) {
    std::ofstream(folder.path / name, std::ios::binary) << text;
    return folder.path / name;
  }
  TrainingData read(const std::filesystem::path& file, dim length = 8, bool prompts = false) {
    return training_data(tokenizer, config, {{file}, length, prompts});
  }
};

using Tokens = std::vector<Token>;
using Flags = std::vector<char>;

TEST_F(DataTest, TextIsCutAndEndsInAnEndToken) {
  const TrainingData data = read(write("t.txt", "abcdefabcd"));
  ASSERT_EQ(data.sequences.size(), 2u);
  EXPECT_EQ(data.sequences[0].tokens, (Tokens{3, 4, 5, 6, 7, 8, 3, 4}));
  EXPECT_EQ(data.sequences[1].tokens, (Tokens{5, 6, 0}));
  EXPECT_EQ(data.sequences[1].predicted, (Flags{0, 1, 1}));
  EXPECT_EQ(data.tokens(), 11);
  EXPECT_EQ(data.predicted(), 9);
}

TEST_F(DataTest, OnlyAnswersArePredicted) {
  const auto file =
      write("c.jsonl", R"({"messages": [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "c"},)"
                       R"( {"role": "user", "content": "d"}, {"role": "assistant", "content": "ef"}]})"
                       "\n\n"
                       R"({"instruction": "a", "input": "", "output": "f"})");
  const TrainingData data = read(file, 20);
  ASSERT_EQ(data.sequences.size(), 2u);
  EXPECT_EQ(data.sequences[0].tokens, (Tokens{1, 3, 4, 0, 2, 5, 0, 1, 6, 0, 2, 7, 8, 0}));
  EXPECT_EQ(data.sequences[0].predicted, (Flags{0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(data.sequences[1].tokens, (Tokens{1, 3, 0, 2, 8, 0}));
  EXPECT_EQ(data.sequences[1].predicted, (Flags{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(read(file, 20, true).sequences[1].predicted, (Flags{0, 1, 1, 1, 1, 1}));
}

TEST_F(DataTest, LongConversationsAreCutAndTheUnansweredLeftOut) {
  const auto file = write("c.jsonl", R"({"instruction": "aaaaaaaaa", "output": "b"})"
                                     "\n"
                                     R"({"instruction": "aa", "output": "bcdef"})");
  const TrainingData data = read(file);
  ASSERT_EQ(data.sequences.size(), 1u);
  EXPECT_EQ(data.sequences[0].tokens, (Tokens{1, 3, 3, 0, 2, 4, 5, 6}));
  EXPECT_EQ(data.notes.size(), 2u);
}

TEST_F(DataTest, ArraysAndTextsInRecords) {
  const TrainingData data = read(write("a.json", R"([{"text": "abc"}, {"text": "de"}])"));
  ASSERT_EQ(data.sequences.size(), 1u);
  EXPECT_EQ(data.sequences[0].tokens, (Tokens{3, 4, 5, 0, 6, 7, 0}));
  EXPECT_NE(data.hash, read(write("b.json", R"([{"text": "abd"}])")).hash);
}

TEST_F(DataTest, WhatIsNoDataIsRefused) {
  EXPECT_THROW(read(write("e.txt", "")), Error);
  EXPECT_THROW(read(write("x.jsonl", "{\"other\": 1}")), Error);
  EXPECT_THROW(read(write("y.jsonl", "{\"text\": ")), Error);
  EXPECT_THROW(read(write("z.json", "{}")), Error);
  EXPECT_THROW(read(write("t.txt", "abc"), 65), Error);  // longer than the context
  config.vocab = 5;
  EXPECT_THROW(read(write("t.txt", "abcdef")), Error);
}

}  // namespace
}  // namespace pith
