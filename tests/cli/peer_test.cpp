// The real llama.cpp loads what we write and says the same.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

bool have_llama_cpp() {
  return std::filesystem::exists(cache_folder() / "peers" / "node_modules" / "node-llama-cpp") &&
         run_shell("command -v node").exit_code == 0;
}

#define NEED_LLAMA_CPP() \
  if (!have_llama_cpp()) GTEST_SKIP() << "no llama.cpp to test against (scripts/peers brings it)"

json llama_cpp_says(const std::filesystem::path& model, const std::string& prompt, int count) {
  const Ran ran = run_shell("PITH_PEERS=" + shell_quote((cache_folder() / "peers").string()) + " node " +
                            shell_quote(std::string(PITH_SOURCE_DIR) + "/tests/peers/llama_cpp.mjs") + " " +
                            shell_quote(model.string()) + " " + shell_quote(prompt) + " " + std::to_string(count));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return ran.exit_code == 0 ? json::parse(ran.out) : json::object();
}

json pith_says(const std::filesystem::path& model, const std::string& prompt, int count) {
  const Ran ran = run_pith("generate " + shell_quote(model.string()) + " " + shell_quote(prompt) + " -n " +
                           std::to_string(count) + " --json");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return json::parse(ran.out);
}

// Tokens agree from the start for at least this many: later, products rounded differently may tip a near tie.
void expect_same_start(const json& peer, const json& ours, std::size_t count) {
  ASSERT_TRUE(peer.contains("tokens"));
  ASSERT_GE(peer.at("tokens").size(), count);
  ASSERT_GE(ours.at("tokens").size(), count);
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(peer.at("tokens").at(i), ours.at("tokens").at(i)) << "token " << i;
}

TEST(Peer, LlamaCppLoadsEveryGgufTypeWeWrite) {
  NEED_LLAMA_CPP();
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  for (const char* format : {"f32", "f16", "bf16", "q8_0", "q5_0", "q5_1", "q4_0", "q4_1", "iq4_nl"}) {
    const auto out = folder.path / (std::string(format) + ".gguf");
    const bool dense = format[0] == 'f' || format[0] == 'b';
    const Ran ran = run_pith((dense ? "convert " : "quantize ") + shell_quote(model.string()) + " --to gguf -f " +
                             format + " -o " + shell_quote(out.string()));
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    expect_same_start(llama_cpp_says(out, "Once upon a time", 10), pith_says(out, "Once upon a time", 10), 6);
  }
}

TEST(Peer, LlamaCppReadsTheRealModelWeWrote) {
  NEED_LLAMA_CPP();
  const auto model = cache_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no real model (scripts/fetch-model brings it)";
  const TempFolder folder;
  const auto out = folder.path / "q8_0.gguf";
  const Ran ran = run_pith("quantize " + shell_quote(model.string()) + " --allow-requantize -f q8_0 -o " +
                           shell_quote(out.string()));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const std::string prompt = "The capital of France is";
  expect_same_start(llama_cpp_says(out, prompt, 8), pith_says(out, prompt, 8), 6);
}

}  // namespace
}  // namespace pith::test
