// Calibrated methods and budgets on a small trained model, from the command line.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

struct Data {
  std::filesystem::path model, calibration, text;
};

double divergence(const Data& data, const std::filesystem::path& output) {
  const Ran ran = run_pith("eval " + quoted(output) + " --against " + quoted(data.model) + " --text " +
                           quoted(data.text) + " --protocol stories-256 --windows 6 --json");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return json::parse(ran.out).at(0).at("divergence").at("kl").at("mean");
}

json quantize(const Data& data, const std::string& options, const std::filesystem::path& output) {
  const Ran ran =
      run_pith("quantize " + quoted(data.model) + " " + options + " --json --overwrite -o " + quoted(output));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return json::parse(ran.out);
}

}  // namespace

TEST(Calibrated, GptqDivergesLessThanRounding) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(calibration, "calibration/tiny.utf8");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const Data data{model, calibration, text};
  const TempFolder folder;
  const std::string calibrate =
      " --calibrate " + quoted(calibration) + " --calibrate-samples 12 --calibrate-length 256";
  for (const char* format : {"q4_0", "int3_g64"}) {
    const auto out = folder.path / (format[0] == 'q' ? "out.gguf" : "out");
    quantize(data, std::string("-f ") + format, out);
    const double rtn = divergence(data, out);
    const json report = quantize(data, std::string("-m gptq -f ") + format + calibrate, out);
    EXPECT_LT(divergence(data, out), 0.7 * rtn) << format;
    EXPECT_EQ(report.at("recipe").at("calibration").at("files"), json::array({"tiny.utf8"}));
  }
}

TEST(Calibrated, ABudgetIsKeptAndServesBetterThanOneFormat) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(calibration, "calibration/tiny.utf8");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const Data data{model, calibration, text};
  const TempFolder folder;
  const auto plain = folder.path / "plain.gguf", mixed = folder.path / "mixed.gguf";
  quantize(data, "-f q5_0 --embed-format q5_0", plain);
  const auto bytes = std::filesystem::file_size(plain);
  quantize(data,
           "--max-bytes " + std::to_string(bytes) + " --calibrate " + quoted(calibration) +
               " --calibrate-samples 12 --calibrate-length 256",
           mixed);
  EXPECT_LE(std::filesystem::file_size(mixed), bytes);
  EXPECT_LT(divergence(data, mixed), divergence(data, plain));
}

TEST(Calibrated, AFormatOrABudgetNotBoth) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  for (const char* options : {"", " -f q4_0 --max-bytes 1MB"}) {
    const Ran ran = run_pith("quantize " + quoted(model) + options);
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_NE(ran.err.find("expected --recipe, or one of --format and --max-bytes"), std::string::npos) << ran.err;
  }
}

}  // namespace pith::test
