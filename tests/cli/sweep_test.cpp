// `pith sweep`, and the pages and cards of what was measured, on a small trained model.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

constexpr const char* kSweep =
    "title: Small\n"
    "keep: false\n"
    "measure: {protocol: stories-256, windows: 3}\n"
    "points:\n"
    "  - {methods: rtn, formats: [q4_0, q8_0]}\n"
    "  - {methods: rtn, formats: q4_k, fallback: false}\n"
    "  - {methods: magnitude, options: {sparsity: 30}}\n";

TEST(Sweep, WritesTheSurveysTablesInEveryForm) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  std::ofstream(folder.path / "s.yaml") << kSweep;
  const auto out = folder.path / "out";
  const std::string command = "sweep " + quoted(folder.path / "s.yaml") + " --model " + quoted(model) + " --text " +
                              quoted(text) + " -o " + quoted(out);
  const Ran listed = run_pith(command + " --dry-run");
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_NE(listed.out.find("4 points, 4 of them to be made"), std::string::npos) << listed.out;
  EXPECT_FALSE(std::filesystem::exists(out));

  const Ran ran = run_pith(command);
  EXPECT_EQ(ran.exit_code, 1);  // one point failed, the others are there
  EXPECT_NE(ran.err.find("expected all 4 points to be measured, 1 failed"), std::string::npos) << ran.err;
  for (const char* name : {"results.html", "results.json", "results.txt", "results.md", "results.tex", "points.csv"})
    EXPECT_GT(read_file(out / name).size(), 100u) << name;
  const std::string quantization = read_file(out / "quantization.csv");
  EXPECT_EQ(std::count(quantization.begin(), quantization.end(), '\n'), 3);  // a head and two rows
  // Rows of 172 are no whole blocks of q8_0: (34304 * 8.5 + 11008 * 16) / 45312 bits.
  EXPECT_NE(quantization.find("\nweight-only quantization,\"rtn q8_0, f16\",hf,10.32,32,32,"), std::string::npos)
      << quantization;
  const std::string pruning = read_file(out / "pruning.csv");
  EXPECT_NE(pruning.find("\nunstructured pruning,magnitude,hf,"), std::string::npos) << pruning;
  EXPECT_NE(pruning.find(",30.0 %,"), std::string::npos) << pruning;
  EXPECT_NE(read_file(out / "results.tex").find("\\toprule"), std::string::npos);
  EXPECT_NE(read_file(out / "results.html").find("What is missing"), std::string::npos);

  const Ran again = run_pith(command + " --json");
  const json results = json::parse(again.out);
  EXPECT_EQ(results.at("studies").at(0).at("models").size(), 3u);
  EXPECT_EQ(results.at("studies").at(0).at("missing").at(0).at("name"), "rtn q4_k");
  EXPECT_EQ(run_pith(command + " --report --format csv").out, read_file(out / "points.csv"));
}

TEST(Sweep, RefusesBeforeWork) {
  const TempFolder folder;
  std::ofstream(folder.path / "s.yaml") << "points: [{methods: nonsense}]\n";
  const Ran ran =
      run_pith("sweep " + quoted(folder.path / "s.yaml") + " --model m --text t -o " + quoted(folder.path / "out"));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("nonsense"), std::string::npos) << ran.err;
  EXPECT_FALSE(std::filesystem::exists(folder.path / "out"));
}

// Two models with everything that a page can show.
Ran compared(const std::filesystem::path& base, const std::filesystem::path& text,
             const std::filesystem::path& folder) {
  std::string models;
  for (const char* format : {"q4_0", "q8_0"}) {
    const auto out = folder / (std::string(format) + ".gguf");
    const Ran made = run_pith("quantize " + quoted(base) + " -f " + format + " -o " + quoted(out));
    if (made.exit_code != 0) return made;
    models += " " + quoted(out);
  }
  std::ofstream(folder / "animals.jsonl")
      << R"({"query": "The cat sat on the", "choices": ["mat", "q z q"], "gold": 0})"
      << "\n"
      << R"({"query": "The dog likes to", "choices": ["xx yy", "play"], "gold": 1})"
      << "\n"
      << R"({"query": "Lily was very", "choices": ["happy", "zebra q"], "gold": 0})"
      << "\n";
  return run_pith("compare" + models + " --base " + quoted(base) + " --text " + quoted(text) +
                  " --protocol stories-256 --windows 4 -p 16 -n 4 -r 1 --prompt 'Once upon a time' --tasks " +
                  quoted(folder / "animals.jsonl") + " --html " + quoted(folder / "page.html") + " --card " +
                  quoted(folder / "README.md") + " --card-base org/stories");
}

TEST(ReportPage, ShowsEverythingInABrowser) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(base, "models/stories260K/hf");
  const TempFolder folder;
  const Ran ran = compared(base, text, folder.path);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const std::string card = read_file(folder.path / "README.md");
  EXPECT_NE(card.find("base_model: \"org/stories\""), std::string::npos);
  EXPECT_NE(card.find("| ffn_down | "), std::string::npos);  // from the report beside the file
  EXPECT_NE(card.find("format: q4_0"), std::string::npos);   // likewise, the recipe
  EXPECT_NE(card.find("animals"), std::string::npos);
  if (run_shell("command -v chromedriver && command -v python3").exit_code != 0)
    GTEST_SKIP() << "no chromedriver here (Debian: chromium-driver)";
  const std::string script = shell_quote(std::string(PITH_SOURCE_DIR) + "/tests/peers/report_page.py");
  const char* pictures = std::getenv("PITH_SCREENSHOTS");
  const Ran seen = run_shell("timeout 100 python3 " + script + " " + quoted(folder.path / "page.html") + " " +
                             (pictures ? pictures : ""));
  ASSERT_FALSE(seen.out.empty()) << seen.err;
  const json both = json::parse(seen.out);
  for (const auto& [name, page] : both.items()) {
    EXPECT_EQ(page["console"], json::array()) << name;
    EXPECT_EQ(page["loaded"], json::array()) << name;
    EXPECT_EQ(page["outside"], json::array()) << name;  // no words run out of their figure
    EXPECT_EQ(page["overflow"], 0) << name;
    EXPECT_EQ(page["drawings"], page["figures"].size()) << page;  // the wide or the narrow one, never both
    for (const char* figure : {"Quality against bytes", "Errors of the weights of q4_0", "Distribution of the weights",
                               "Loss added, by place in the window", "Tasks"})
      EXPECT_NE(std::find(page["figures"].begin(), page["figures"].end(), figure), page["figures"].end()) << figure;
  }
  EXPECT_NE(both["desk"]["ground"], both["phone"]["ground"]);  // light and dark
}

}  // namespace
}  // namespace pith::test
