// `pith chat` over a pipe.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] | trim + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

class Talk : public testing::Test {
 protected:
  void SetUp() override {
    const auto from = data_folder() / "models/stories260K/hf";
    if (!std::filesystem::exists(from)) GTEST_SKIP() << "no test data at " << from;
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
      std::filesystem::copy_file(from / name, folder.path / name);
    json config = json::parse(read_file(from / "tokenizer_config.json"));
    config["chat_template"] = kTemplate;
    std::ofstream(folder.path / "tokenizer_config.json") << config.dump();
  }
  Ran chat(const std::string& input, const std::string& arguments) const {
    const std::string model = shell_quote(folder.path.string());
    return run_shell("printf '%s' " + shell_quote(input) + " | " + shell_quote(PITH_BINARY) + " chat " + model + " " +
                     arguments);
  }
  json transcript(const std::string& input, const std::string& arguments) const {
    const Ran ran = chat(input, arguments + " --json");
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.exit_code == 0 ? json::parse(ran.out) : json::object();
  }
  TempFolder folder;
};

TEST_F(Talk, AnswersEachLineAndRemembers) {
  const json talk = transcript("Who is Tom?\nAnd Lily?\n", "-n 8 --system Brief");
  ASSERT_EQ(talk["messages"].size(), 5u);
  EXPECT_EQ(talk["messages"][0], (json{{"role", "system"}, {"content", "Brief"}}));
  EXPECT_EQ(talk["messages"][3], (json{{"role", "user"}, {"content", "And Lily?"}}));
  EXPECT_EQ(talk["messages"][4]["content"], talk["answers"][1]["text"]);
  EXPECT_EQ(talk["answers"][0]["tokens"].size(), 8u);
  // The second prompt has the whole first exchange before it, and that is not read again.
  const int first = talk["answers"][0]["prompt_tokens"];
  EXPECT_GT(int(talk["answers"][1]["prompt_tokens"]), first + 8);
  EXPECT_GE(int(talk["answers"][1]["reused_tokens"]), first);
}

TEST_F(Talk, PlainTextIsTheAnswersAlone) {
  const json talk = transcript("Who is Tom?\n\nAnd Lily?", "-n 8");
  const Ran ran = chat("Who is Tom?\n\nAnd Lily?", "-n 8 -q");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(ran.out, talk["answers"][0]["text"].get<std::string>() + "\n" +
                         talk["answers"][1]["text"].get<std::string>() + "\n");
}

TEST_F(Talk, CommandsResetSaveAndEnd) {
  const std::string file = (folder.path / "talk.json").string();
  const json talk =
      transcript("Hi\n/reset\nWho is Tom?\n/save " + file + "\n/system Be kind.\nHello\n/quit\nnever\n", "-n 4");
  ASSERT_EQ(talk["messages"].size(), 3u);
  EXPECT_EQ(talk["messages"][0]["content"], "Be kind.");
  EXPECT_EQ(talk["answers"].size(), 3u);
  const json saved = json::parse(read_file(file));
  ASSERT_EQ(saved.size(), 2u);
  EXPECT_EQ(saved[0]["content"], "Who is Tom?");
  const json on = transcript("More\n", "-n 4 --history " + shell_quote(file));
  ASSERT_EQ(on["messages"].size(), 4u);
  EXPECT_EQ(on["messages"][1], saved[1]);
  EXPECT_NE(chat("/what\n", "").err.find("/quit"), std::string::npos);
}

TEST_F(Talk, LongTalksLeaveTheOldestOut) {
  std::string lines;
  for (int i = 0; i < 6; ++i) lines += "Tell me about the little dog.\n";
  const json talk = transcript(lines, "-n 24 --context 128 --system Dogs");
  ASSERT_EQ(talk["answers"].size(), 6u);
  EXPECT_EQ(talk["answers"][0]["left_out"], 0);
  EXPECT_GT(int(talk["answers"][5]["left_out"]), 0);
  for (const auto& answer : talk["answers"]) {
    EXPECT_LE(int(answer["prompt_tokens"]), 128 - 24);
    EXPECT_EQ(int(answer["left_out"]) % 2, 0);  // a question and its answer
  }
  // One that is too long by itself is refused, and the talk goes on.
  const Ran ran = chat(std::string(600, 'x') + "\nHi\n", "-n 4 --context 64 -q");
  EXPECT_NE(ran.err.find("expected at most 64 tokens"), std::string::npos) << ran.err;
  EXPECT_FALSE(ran.out.empty());
}

TEST_F(Talk, DraftsAndPromptCachesChangeNothing) {
  const json plain = transcript("Who is Tom?\nAnd Lily?\n", "-n 12");
  const json drafted =
      transcript("Who is Tom?\nAnd Lily?\n", "-n 12 --speculative " + shell_quote(folder.path.string()));
  EXPECT_EQ(drafted["messages"], plain["messages"]);
  EXPECT_GT(int(drafted["answers"][0]["accepted"]), 0);
  const std::string cache = " --prompt-cache " + shell_quote((folder.path / "talk.kv").string());
  const json first = transcript("Who is Tom?\n", "-n 12" + cache);
  const json second = transcript("Who is Tom?\n", "-n 12" + cache);
  EXPECT_EQ(first["answers"][0]["reused_tokens"], 0);
  EXPECT_EQ(int(second["answers"][0]["reused_tokens"]), int(second["answers"][0]["prompt_tokens"]) - 1);
  EXPECT_EQ(first["messages"], second["messages"]);
  const Ran refused = chat("Hi\n", "--kv int8" + cache);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("leave out --kv or --prompt-cache"), std::string::npos) << refused.err;
}

TEST_F(Talk, ControlCEndsTheAnswerAndNotTheProgram) {
  // The shell waits until something was said, interrupts, and asks for the end.
  const std::string out = (folder.path / "out").string(), in = (folder.path / "in").string();
  const Ran ran =
      run_shell("set -e; mkfifo " + in + "; exec 3<>" + in + "; " + shell_quote(PITH_BINARY) + " chat " +
                shell_quote(folder.path.string()) + " -n 100000 --context 512 --ignore-end <&3 >" + out +
                " & pid=$!; exec 3>" + in + "; printf 'Hi\\n' >&3; for i in $(seq 200); do [ -s " + out +
                " ] && break; sleep 0.05; done; kill -INT $pid; sleep 0.2; printf '/quit\\n' >&3; wait $pid");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.err.find("interrupted]"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace pith::test
