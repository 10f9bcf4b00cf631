#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/sanitizers.h"
#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

TEST(Usage, HelpListsTheVerbsQuickly) {
  double best_ms = 1e9;
  Ran ran;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ran = run_pith("--help");
    best_ms =
        std::min(best_ms, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  EXPECT_EQ(ran.exit_code, 0);
  for (const char* verb : {"inspect", "quantize", "convert", "eval", "generate", "formats", "methods"})
    EXPECT_NE(ran.out.find(verb), std::string::npos) << verb;
#ifndef PITH_SANITIZED
  EXPECT_LT(best_ms, 50.0);  // the shell's start included
#endif
}

TEST(Usage, ExitCodesTellWhoIsToBlame) {
  EXPECT_EQ(run_pith("").exit_code, 2);
  EXPECT_EQ(run_pith("shrink model").exit_code, 2);
  EXPECT_EQ(run_pith("quantize").exit_code, 2);
  EXPECT_EQ(run_pith("formats --no-such-flag").exit_code, 2);
  const Ran missing = run_pith("inspect /no/such/model.gguf");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(missing.out, "");
  EXPECT_NE(missing.err.find("/no/such/model.gguf"), std::string::npos) << missing.err;
  EXPECT_EQ(run_pith("formats > /dev/full").exit_code, 1);
}

TEST(Usage, EveryVerbHasExamples) {
  for (const char* verb : {"inspect", "quantize", "convert", "eval", "generate", "formats", "methods"}) {
    const Ran ran = run_pith(std::string(verb) + " --help");
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_NE(ran.out.find("Examples:\n  pith " + std::string(verb)), std::string::npos) << verb;
  }
}

TEST(Usage, CataloguesAreMachineReadable) {
  const auto formats = nlohmann::json::parse(run_pith("formats --json").out);
  bool seen = false;
  for (const auto& format : formats)
    if (format.at("name") == "q4_0") {
      seen = true;
      EXPECT_EQ(format.at("bits_per_weight"), 4.5);  // 18 bytes for 32 weights
      EXPECT_EQ(format.at("block"), 32);
    }
  EXPECT_TRUE(seen);
  const auto methods = nlohmann::json::parse(run_pith("methods --json").out);
  EXPECT_EQ(methods.at(0).at("name"), "rtn");
}

TEST(Usage, GarbageIsRefusedWithTheFault) {
  const TempFolder folder;
  const auto path = folder.path / "garbage.gguf";
  std::ofstream(path) << "this is not a model at all, only text";
  for (const std::string verb : {"inspect ", "quantize --format q8_0 ", "generate "}) {
    const Ran ran = run_pith(verb + shell_quote(path.string()) + (verb == "generate " ? " hello" : ""));
    EXPECT_EQ(ran.exit_code, 1) << verb;
    EXPECT_NE(ran.err.find("GGUF"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}), 1);  // nothing was left behind
}

}  // namespace
}  // namespace pith::test
