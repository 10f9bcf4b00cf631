// Models side by side, on a small trained one.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

TEST(Compare, BetterModelsAreFoundBetter) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(base, "models/stories260K/hf");
  const TempFolder folder;
  std::string models;
  for (const char* format : {"q4_0", "q8_0"}) {
    const auto out = folder.path / (std::string(format) + ".gguf");
    ASSERT_EQ(run_pith("quantize " + quoted(base) + " -f " + format + " -o " + quoted(out)).exit_code, 0);
    models += " " + quoted(out);
  }
  const std::string command = "compare" + models + " --base " + quoted(base) + " --text " + quoted(text) +
                              " --protocol stories-256 --windows 12 --no-speed --prompt 'Once upon a time'";
  const Ran ran = run_pith(command + " --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const json out = json::parse(ran.out);
  const json& small = out.at("models").at(0);
  const json& large = out.at("models").at(1);
  EXPECT_EQ(small.at("name"), "q4_0");
  EXPECT_GT(small.at("quality").at("divergence").at("kl").at("mean"),
            10 * large.at("quality").at("divergence").at("kl").at("mean").get<double>());
  EXPECT_GT(small.at("compression_ratio"), large.at("compression_ratio").get<double>());
  EXPECT_EQ(small.at("layers").at("errors").size(), 5u);
  EXPECT_FALSE(small.at("samples").at(0).get<std::string>().empty());
  const json& pair = out.at("tests").at("pairs").at(2);  // q4_0 and q8_0: all twelve windows say the same
  EXPECT_EQ(pair.at("kl").at("p_value"), 2.0 / 4096);
  EXPECT_GT(pair.at("kl").at("low_95"), 0);
  EXPECT_EQ(run_pith(command + " --json").out, ran.out);  // nothing in it depends on the day
}

TEST(Compare, RefusesBeforeWork) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const Ran form = run_pith("compare " + quoted(model) + " --format pdf");
  EXPECT_EQ(form.exit_code, 1);
  EXPECT_NE(form.err.find("latex"), std::string::npos);
  const Ran text = run_pith("compare " + quoted(model) + " --text /no/such/file");
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_NE(text.err.find("/no/such/file"), std::string::npos);
}

}  // namespace
}  // namespace pith::test
