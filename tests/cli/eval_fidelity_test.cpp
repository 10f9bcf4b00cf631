// pith eval: changed protocols, documents, and --fidelity, on a small trained model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

json eval(const std::string& arguments) {
  const Ran ran = run_pith("eval " + arguments + " --json");
  EXPECT_EQ(ran.exit_code, 0) << "pith eval " << arguments << "\n" << ran.err;
  return json::parse(ran.out).at(0);
}

TEST(EvalFidelity, OfAQuantizedModel) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const TempFolder folder;
  const auto small = folder.path / "small.gguf";
  ASSERT_EQ(run_pith("quantize " + quoted(model) + " -f q4_0 -o " + quoted(small)).exit_code, 0);
  const std::string options = " --against " + quoted(model) + " --text " + quoted(text) +
                              " --protocol stories-256 --windows 2 --fidelity --greedy-prompts 4 --prompt-tokens 16 "
                              "--greedy-tokens 32";
  const json lossy = eval(quoted(small) + options).at("fidelity");
  const json& layers = lossy.at("hidden_states").at("layers");
  ASSERT_EQ(layers.size(), 5u);
  for (const json& layer : layers) {
    // q4_0 keeps four bits of each weight: about 20 dB of the weights, and of what they give.
    EXPECT_GT(layer.at("sqnr_db"), 10);
    EXPECT_LT(layer.at("sqnr_db"), 35);
    EXPECT_GE(layer.at("block_sqnr_db").get<double>(), layer.at("sqnr_db").get<double>() - 1);
  }
  EXPECT_EQ(lossy.at("greedy").at("prompts"), 4);
  EXPECT_EQ(lossy.at("greedy").at("limit"), 32);
  EXPECT_LT(lossy.at("greedy").at("mean"), 32);
  const json same = eval(quoted(model) + options).at("fidelity");
  EXPECT_TRUE(same.at("hidden_states").at("layers").at(4).at("sqnr_db").is_null());
  EXPECT_EQ(same.at("greedy").at("identical"), 4);
  const Ran table = run_pith("eval " + quoted(small) + options);
  EXPECT_NE(table.out.find("SQNR dB"), std::string::npos);
  EXPECT_NE(table.out.find("tokens until the first difference"), std::string::npos);
}

TEST(EvalProtocols, DocumentsOfJsonLines) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  const TempFolder folder;
  const auto plain = folder.path / "t.txt", lines = folder.path / "t.jsonl";
  std::ofstream(plain) << "Tom had a dog.\n\nLily had a cat.";
  std::ofstream(lines) << "{\"text\": \"Tom had a dog.\"}\n{\"text\": \"Lily had a cat.\"}\n";
  const std::string rolling = " --protocol rolling --text ";
  const json a = eval(quoted(model) + rolling + quoted(plain)), b = eval(quoted(model) + rolling + quoted(lines));
  EXPECT_EQ(a.at("text_sha256"), b.at("text_sha256"));
  EXPECT_EQ(a.at("words_scored"), 8);
  EXPECT_EQ(a.at("bytes_scored"), 31);
}

TEST(EvalProtocols, ContextAndStride) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const json got =
      eval(quoted(model) + " --text " + quoted(text) + " --protocol strided --context 128 --stride 32 --windows 3");
  EXPECT_EQ(got.at("protocol"), "strided (context 128, stride 32)");
  EXPECT_EQ(got.at("tokens_scored"), 127 + 32 + 32);
}

TEST(EvalFidelity, WantsABase) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  EXPECT_EQ(run_pith("eval " + quoted(model) + " --text x.txt --fidelity").exit_code, 2);
}

TEST(Tasks, AreListed) {
  const Ran ran = run_pith("tasks --json");
  ASSERT_EQ(ran.exit_code, 0);
  const json tasks = json::parse(ran.out);
  EXPECT_EQ(tasks.at(0).at("name"), "lambada");
  EXPECT_EQ(tasks.at(0).at("output_type"), "loglikelihood");
  EXPECT_NE(run_pith("tasks").out.find("hellaswag"), std::string::npos);
}

}  // namespace
}  // namespace pith::test
