// Prompts of every task, on small files of its form. What is expected was written down by hand from the definitions of
// lm-evaluation-harness.
#include "eval/tasks/prompts.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

const std::filesystem::path kSamples = std::filesystem::path(PITH_SOURCE_DIR) / "tests/eval/tasks/samples";

// Needs no more of a tokenizer than that there is one.
const Tokenizer& any_tokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::from_json(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  return tokenizer;
}

TaskData data_of(const Task& task) {
  TaskFiles files(kSamples);
  TaskSource source{files, any_tokenizer(), 512, 1};
  return task.load(source);
}

Prompt prompt_of(const char* name, dim index = 0, dim shots = 0) {
  const Task* task = find_task(name);
  if (!task) throw std::runtime_error(name);
  const TaskData data = data_of(*task);
  return PromptWriter(*task, data, shots, 7).write(index);
}

int gold_of(const char* name, std::size_t index = 0) { return data_of(*find_task(name)).documents[index].gold; }

using Texts = std::vector<std::string>;

TEST(Prompts, OfChoices) {
  const Prompt piqa = prompt_of("piqa");
  EXPECT_EQ(piqa.contexts, Texts{"Question: How do I dry a shirt?\nAnswer:"});
  EXPECT_EQ(piqa.continuations, (Texts{" Hang it in the sun.", " Hang it in a pond."}));
  EXPECT_EQ(prompt_of("arc_easy").contexts, Texts{"Question: Which of these is a planet?\nAnswer:"});
  EXPECT_EQ(prompt_of("openbookqa").contexts, Texts{"A plant without light"});
  EXPECT_EQ(prompt_of("openbookqa").continuations[3], " barks");
  EXPECT_EQ(prompt_of("boolq").contexts, Texts{"Tea is a drink.\nQuestion: is tea a drink?\nAnswer:"});
  EXPECT_EQ(prompt_of("boolq").continuations, (Texts{" no", " yes"}));
  EXPECT_EQ(prompt_of("copa").contexts, Texts{"The glass fell therefore"});
  EXPECT_EQ(prompt_of("copa", 1).contexts, Texts{"The dog barked because"});
  EXPECT_EQ(prompt_of("copa").continuations, (Texts{"  it broke.", "  it flew."}));
  const Prompt hellaswag = prompt_of("hellaswag");
  EXPECT_EQ(hellaswag.contexts, Texts{"Boiling eggs: A pot stands on the stove. the cook"});
  EXPECT_EQ(hellaswag.continuations[2], " lowers two eggs into the water.");
  EXPECT_EQ(gold_of("hellaswag"), 2);
}

TEST(Prompts, OfContextsThatAreChosen) {
  const Prompt p = prompt_of("winogrande");
  EXPECT_EQ(p.contexts, (Texts{"Ann thanked Eve because Ann", "Ann thanked Eve because Eve"}));
  EXPECT_EQ(p.continuations, Texts{" had helped."});
  EXPECT_EQ(gold_of("winogrande"), 1);
  EXPECT_EQ(prompt_of("wsc273").continuations, Texts{"  had helped."});
}

TEST(Prompts, OfContinuations) {
  const Prompt p = prompt_of("lambada");
  EXPECT_EQ(p.contexts, Texts{"The boat was gone. She looked along the shore and called again for the"});
  EXPECT_EQ(p.continuations, Texts{" boat"});
  // Words are what spaces part: a line's end does not.
  EXPECT_EQ(prompt_of("lambada", 1).continuations, Texts{" without\nhoney\""});
}

TEST(Prompts, OfMmluWithItsExamples) {
  const std::string head = "The following are multiple choice questions (with answers) about toy science.\n\n";
  const std::string wet = "Which is wet?\nA. Sand\nB. Water\nC. Salt\nD. Flour\nAnswer:";
  const std::string hot = "Which is hot?\nA. Ice\nB. Snow\nC. Fire\nD. Rain\nAnswer:";
  const std::string metal = "Which is a metal,\nthe \"hard\" one?\nA. Iron\nB. Wood\nC. Milk, cold\nD. Air\nAnswer:";
  const Prompt p = prompt_of("mmlu", 0, 2);
  EXPECT_EQ(p.contexts, Texts{head + wet + " B\n\n" + hot + " C\n\n" + metal});
  EXPECT_EQ(p.continuations, (Texts{" A", " B", " C", " D"}));
  EXPECT_EQ(gold_of("mmlu", 0), 0);
  EXPECT_EQ(gold_of("mmlu", 1), 1);  // a letter
  EXPECT_EQ(data_of(*find_task("mmlu")).documents[0].groups, (Texts{"stem", "toy_science"}));
  EXPECT_THROW((void)prompt_of("mmlu", 0, 3), Error);
}

TEST(Prompts, OfTruthfulQa) {
  const Prompt p = prompt_of("truthfulqa_mc1");
  EXPECT_TRUE(p.contexts[0].starts_with("Q: What is human life expectancy in the United States?\nA: Human life"));
  EXPECT_TRUE(p.contexts[0].ends_with(
      "A: The 1992 Olympics were held in Barcelona, Spain.\n\nQ: Do stones grow at night?\nA:"));
  EXPECT_EQ(p.continuations, (Texts{" No, stones do not grow.", " Yes, slowly."}));
  const Document mc2 = data_of(*find_task("truthfulqa_mc2")).documents[0];
  EXPECT_EQ(mc2.right, (std::vector<char>{1, 1, 0}));
}

TEST(Prompts, OfGeneratedAnswers) {
  const Prompt p = prompt_of("gsm8k", 0, 1);
  EXPECT_EQ(p.contexts, Texts{"Question: Two cows have 4 legs each. How many legs?\nAnswer: 2 * 4 = 8.\n#### 8\n\n"
                              "Question: Tom has 3 nuts and finds 4. How many has he?\nAnswer:"});
  EXPECT_EQ(p.target, "7");
  EXPECT_TRUE(p.continuations.empty());
  EXPECT_THROW((void)prompt_of("gsm8k", 0, 2), Error);  // only one other question
}

TEST(Prompts, ExamplesDependOnTheSeedAndNeverHoldTheQuestion) {
  TaskData data;
  Task task = *find_task("gsm8k");
  for (int i = 0; i < 20; ++i) {
    Document d;
    d.context = "<" + std::to_string(i) + ">";
    d.solution = "s";
    data.documents.push_back(d);
  }
  const PromptWriter one(task, data, 5, 1), same(task, data, 5, 1), other(task, data, 5, 2);
  bool differs = false;
  for (dim i = 0; i < 20; ++i) {
    const std::string text = one.write(i).contexts[0];
    EXPECT_EQ(text, same.write(i).contexts[0]);
    differs = differs || text != other.write(i).contexts[0];
    const std::string own = "<" + std::to_string(i) + ">";
    EXPECT_EQ(text.find(own), text.rfind(own));
    EXPECT_EQ(std::count(text.begin(), text.end(), '<'), 6);
  }
  EXPECT_TRUE(differs);
}

TEST(OwnTasks, SayThemselvesWhatTheyAre) {
  const Task choices = own_task((kSamples / "own/choices.jsonl").string());
  const TaskData data = data_of(choices);
  EXPECT_EQ(choices.name, "choices");
  EXPECT_EQ(choices.shots, 1);
  EXPECT_EQ(data.documents[0].id, "sky");
  EXPECT_EQ(PromptWriter(choices, data, 1, 1).write(0).contexts, Texts{"Answer.\nGrass?\ngreen\n\nSky?"});
  const Task longbench = own_task((kSamples / "own/longbench.jsonl").string());
  const TaskData long_data = data_of(longbench);
  EXPECT_EQ(longbench.type, OutputType::generation);
  EXPECT_EQ(long_data.documents[0].context, "The key lies under the mat.\n\nWhere is the key?\nAnswer:");
  EXPECT_EQ(long_data.documents[0].answers, (Texts{"under the mat", "the mat"}));
  const Task instructions = own_task((kSamples / "own/instructions.jsonl").string());
  EXPECT_EQ(instructions.metrics[0]->name, "rougeL");
  EXPECT_TRUE(data_of(instructions)
                  .documents[1]
                  .context.ends_with("### Instruction:\nShorten it.\n\n### Input:\nIt is very cold.\n\n### Response:"));
}

TEST(BigBench, ChoicesAndTextsAreAskedAsItAsks) {
  const test::TempFolder folder;
  std::filesystem::create_directory(folder.path / "colours");
  const auto path = folder.path / "colours" / "task.json";
  std::ofstream(path) << R"({"task_prefix": "Look.\n", "examples": [
      {"input": "Sky?", "target_scores": {"red": 0, "blue": 1}},
      {"input": "Sea?", "target_scores": {"green": 1, "blue": 1, "black": 0}}]})";
  const Task task = big_bench_task(path.string());
  EXPECT_EQ(task.name, "colours");
  const TaskData data = data_of(task);
  EXPECT_EQ(data.documents[0].gold, 0);
  EXPECT_EQ(data.documents[1].right, (std::vector<char>{0, 1, 1}));
  const Prompt prompt = PromptWriter(task, data, 0, 1).write(0);
  EXPECT_EQ(prompt.contexts, Texts{"Look.\nQ: Sky?\n  choice: blue\n  choice: red\nA:"});
  EXPECT_EQ(prompt.continuations, (Texts{" blue", " red"}));
  std::ofstream(folder.path / "sums.json") << R"({"canary": "", "examples": [
      {"input": "1 + 1 =", "target": "2"}, {"input": "2 + 2 =", "target": ["4", "four"]}]})";
  const Task sums = big_bench_task((folder.path / "sums.json").string());
  EXPECT_EQ(sums.type, OutputType::generation);
  EXPECT_EQ(PromptWriter(sums, data_of(sums), 0, 1).write(1).contexts, Texts{"Q: 2 + 2 =\nA:"});
  EXPECT_EQ(data_of(sums).documents[1].answers, (Texts{"4", "four"}));
}

TEST(BigBench, DamagedFilesAreRefusedByExample) {
  const test::TempFolder folder;
  const auto path = folder.path / "t.json";
  for (const auto& [text, word] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "examples"},
           {"[]", "examples"},
           {"{\"examples\": []}", "examples"},
           {"{\"examples\": [3]}", "example 0"},
           {"{\"examples\": [{\"input\": \"a\"}]}", "target"},
           {"{\"examples\": [{\"input\": \"a\", \"target_scores\": {}}]}", "target_scores"},
           {"{\"examples\": [{\"input\": \"a\", \"target_scores\": {\"b\": \"x\"}}]}", "score of 'b'"},
           {"{\"examples\": [{\"input\": \"a\", \"target\": \"b\"}, {\"input\": \"a\", \"target_scores\": {\"b\": "
            "1}}]}",
            "example 1"},
           {"{\"append_choices_to_input\": 1, \"examples\": [{\"input\": \"a\", \"target\": \"b\"}]}",
            "append_choices_to_input"}}) {
    std::ofstream(path) << text;
    try {
      (void)big_bench_task(path.string());
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
    }
  }
}

std::string fault_of(const std::string& line) {
  const test::TempFolder folder;
  const auto path = folder.path / "t.jsonl";
  std::ofstream(path) << line;
  try {
    (void)own_task(path.string());
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(OwnTasks, DamagedFilesAreRefusedByLine) {
  EXPECT_NE(fault_of("{\"query\": \"a\", \"choices\": [\"b\"], \"gold\": 1}").find("t.jsonl:1"), std::string::npos);
  EXPECT_NE(fault_of("{\"query\": \"a\", \"choices\": [], \"gold\": 0}").find("choices"), std::string::npos);
  EXPECT_NE(fault_of("{\"query\": 3, \"choices\": [\"b\"], \"gold\": 0}").find("query"), std::string::npos);
  EXPECT_NE(fault_of("{\"task\": {\"metric\": \"bleu\"}}\n{}").find("bleu"), std::string::npos);
  EXPECT_NE(fault_of("{\"task\": {}}").find("questions"), std::string::npos);
  for (const char* bad : {"", "\n", "{", "[1]", "{}", "{\"task\": 3}", "{\"task\": {\"shots\": -1}}\n{}"})
    EXPECT_NE(fault_of(bad), "") << bad;
  EXPECT_THROW((void)own_task((kSamples / "own/mixed.jsonl").string()), Error);
  EXPECT_THROW((void)own_task((kSamples / "own/absent.jsonl").string()), Error);
}

TEST(TaskFiles, CsvCellsMayHoldAnything) {
  using Rows = std::vector<Texts>;
  EXPECT_EQ(read_csv("a,b\r\n\"x,\"\"y\"\"\n\",\n", "t", 2), (Rows{{"a", "b"}, {"x,\"y\"\n", ""}}));
  EXPECT_EQ(read_csv("a,", "t", 2), (Rows{{"a", ""}}));
  EXPECT_THROW((void)read_csv("a,b\nc\n", "t", 2), Error);
  EXPECT_THROW((void)read_csv("\"a", "t", 1), Error);
  EXPECT_THROW((void)read_csv("\"a\"b", "t", 1), Error);
}

TEST(TaskFiles, AbsentOnesAreNamed) {
  try {
    (void)prompt_of("svamp");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("svamp.jsonl"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("--task-data"), std::string::npos);
  }
}

}  // namespace
}  // namespace pith
