#include "synth/seeds.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith::synth {
namespace {

class Seeds : public testing::Test {
 protected:
  pith::test::TempFolder folder;
  std::filesystem::path file(const char* name, const std::string& text) const {
    std::ofstream(folder.path / name) << text;
    return folder.path / name;
  }
  std::vector<SeedItem> read(const char* name, const std::string& text, dim limit = 0) const {
    const std::filesystem::path path = file(name, text);
    return read_seeds(std::span(&path, 1), limit);
  }
  std::string fault(const char* name, const std::string& text) const {
    try {
      read(name, text);
    } catch (const Error& e) {
      const std::string what = e.what(), where = folder.path.string() + "/";
      const auto at = what.find(where);
      return at == what.npos ? what : std::string(what).erase(at, where.size());
    }
    return "";
  }
};

TEST_F(Seeds, ComeInManyShapes) {
  const auto all = read("a.jsonl",
                        R"({"instruction": "Add.", "input": "2 and 3", "output": "5"}
{"context": "How many?", "chain_of_thought": "One and one.", "answer": 2}

{"question": "Q: Why?\nA:", "answer": "since 1 is 1\n#### 1,000"}
{"query": "Question: Where?\nAnswer:", "choices": ["bank", "shop", "sea"], "gold": 1}
{"query": "Is it?", "choices": ["Yes", "No"], "gold": 0}
{"turns": ["First", "Second"]}
{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}], "id": 7})");
  ASSERT_EQ(all.size(), 7u);
  EXPECT_EQ(all[0].question, "Add.\n2 and 3");
  EXPECT_EQ(all[0].answer, "5");
  EXPECT_EQ(all[0].source, "a.jsonl, line 1");
  EXPECT_EQ(all[1].rationale, "One and one.");
  EXPECT_EQ(all[1].answer, "2");
  EXPECT_EQ(all[2].question, "Why?");
  EXPECT_EQ(all[2].source, "a.jsonl, line 4");
  EXPECT_EQ(all[2].rationale, "since 1 is 1");
  EXPECT_EQ(all[2].answer, "1,000");
  EXPECT_EQ(all[3].question, "Where?\nChoices:\nA. bank\nB. shop\nC. sea");
  EXPECT_EQ(all[3].answer, "B");
  EXPECT_EQ(all[3].wrong, (std::vector<std::string>{"A", "C"}));
  EXPECT_EQ(all[4].question, "Is it?");
  EXPECT_EQ(all[4].answer, "Yes");
  EXPECT_EQ(all[4].wrong, (std::vector<std::string>{"No"}));
  EXPECT_EQ(all[5].question, "First");
  ASSERT_EQ(all[6].before.size(), 1u);
  EXPECT_EQ(all[6].conversation().size(), 2u);
  EXPECT_EQ(all[6].answer, "A");
}

TEST_F(Seeds, TextAndArraysAndLimits) {
  EXPECT_EQ(read("q.txt", "One?\n\n Two? \n").size(), 2u);
  EXPECT_EQ(read("q.txt", "One?\n\n Two? \n")[1].source, "q.txt, line 3");
  EXPECT_EQ(read("q.json", R"([{"prompt": "x"}, {"prompt": "y"}])")[1].source, "q.json, record 2");
  EXPECT_EQ(read("q.txt", "One?\nTwo?\nThree?", 2).size(), 2u);
}

TEST_F(Seeds, FaultsSayWhereAndWhatIsWanted) {
  const std::string hint =
      "; hint: a line is an object with messages, or with instruction, question, query, prompt, context or turns";
  EXPECT_EQ(fault("a.jsonl", "{\"question\": \"q\"}\n[1]"), "[a.jsonl, line 2] expected an object, got array" + hint);
  EXPECT_EQ(fault("a.jsonl", "{\"text\": \"q\"}"),
            "[a.jsonl, line 1] expected a question or an instruction, got none" + hint);
  EXPECT_EQ(fault("a.jsonl", "{\"question\": [1]}"),
            "[a.jsonl, line 1] expected question to be a string or a number, got array");
  EXPECT_EQ(fault("a.jsonl", R"({"query": "q", "choices": ["a", "b"], "gold": 2})"),
            "[a.jsonl, line 1] expected gold to be the index of one of 2 choices");
  EXPECT_NE(fault("a.jsonl", "{\"question\": "), "");
  EXPECT_NE(fault("a.jsonl", R"({"messages": [{"role": "user"}]})"), "");
  EXPECT_NE(fault("a.jsonl", R"({"messages": [{"role": "system", "content": "s"}]})"), "");
  EXPECT_NE(fault("a.jsonl", "\n\n"), "");
  EXPECT_NE(fault("a.json", "{}"), "");
  EXPECT_NE(fault("a.txt", ""), "");
  EXPECT_THROW(read_topics(file("t", "\n")), Error);
  EXPECT_EQ(read_topics(file("t", "Sea\n\n Sky \n")), (std::vector<std::string>{"Sea", "Sky"}));
}

}  // namespace
}  // namespace pith::synth
