// The whole way on a small trained model: read, compress, write, reopen, evaluate, generate.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

Ran must_run(const std::string& arguments) {
  Ran ran = run_pith(arguments);
  EXPECT_EQ(ran.exit_code, 0) << "pith " << arguments << "\n" << ran.err;
  return ran;
}

// What the float model says greedily; checked against llama.cpp on the original file.
constexpr const char* kStory = ", there was a little girl named Lily. She loved to play outside in the park.";

TEST(SmallModel, GeneratesTheKnownText) {
  PITH_NEED_DATA(hf, "models/stories260K/hf");
  PITH_NEED_DATA(gguf, "models/stories260K/stories260K-f32.gguf");
  for (const auto& model : {hf, gguf}) {
    const json out = json::parse(must_run("generate " + quoted(model) + " 'Once upon a time' -n 30 --json").out);
    EXPECT_TRUE(std::string(out.at("text")).starts_with(kStory)) << out.at("text");
  }
}

TEST(SmallModel, PerplexityIsTheReferences) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const json out = json::parse(
      must_run("eval " + quoted(model) + " --text " + quoted(text) + " --protocol stories-256 --windows 24 --json")
          .out);
  EXPECT_NEAR(out.at(0).at("perplexity").at("mean").get<double>(), 7.6291, 0.001);  // f64, another implementation
}

TEST(SmallModel, QuantizedFilesReopenAndLoseWhatTheirBitsSay) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  std::map<std::string, double> kl;
  // 64 input features: no 256-wide types. The order of the list is from few bits to many.
  const std::vector<std::string> formats = {"q4_0", "int4_g32", "q5_1", "int8_g64_sym", "q8_0"};
  for (const auto& format : formats) {
    const bool hf = format.starts_with("int");
    const auto out = folder.path / (hf ? format : format + ".gguf");
    must_run("quantize " + quoted(model) + " -f " + format + " -o " + quoted(out));
    EXPECT_TRUE(std::filesystem::exists(folder.path / (format + ".report.md")));
    EXPECT_EQ(json::parse(read_file(folder.path / (format + ".report.json"))).at("recipe").at("method"), "rtn");
    const json eval = json::parse(must_run("eval " + quoted(out) + " --against " + quoted(model) + " --text " +
                                           quoted(text) + " --protocol stories-256 --windows 8 --json")
                                      .out);
    kl[format] = eval.at(0).at("divergence").at("kl").at("mean");
    EXPECT_GT(kl[format], 0.0);
  }
  EXPECT_LT(kl["q5_1"], kl["q4_0"]);
  EXPECT_LT(kl["q8_0"], kl["q5_1"]);
  EXPECT_LT(kl["int8_g64_sym"], kl["int4_g32"]);
  EXPECT_LT(kl["q8_0"], 0.001);
}

TEST(SmallModel, AModelAgainstItselfDivergesByExactlyZero) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  const json eval = json::parse(must_run("eval " + quoted(model) + " --against " + quoted(model) + " --text " +
                                         quoted(text) + " --protocol stories-256 --windows 4 --json")
                                    .out);
  const json& d = eval.at(0).at("divergence");
  EXPECT_EQ(d.at("kl").at("mean"), 0.0);
  EXPECT_EQ(d.at("kl_max"), 0.0);
  EXPECT_EQ(d.at("top1_agreement").at("mean"), 1.0);
}

TEST(SmallModel, RoundTripOfContainersKeepsTheText) {
  PITH_NEED_DATA(hf, "models/stories260K/hf");
  const TempFolder folder;
  const auto gguf = folder.path / "model.gguf", back = folder.path / "back";
  must_run("convert " + quoted(hf) + " -f f32 --to gguf -o " + quoted(gguf));
  must_run("convert " + quoted(gguf) + " -f f32 --to hf -o " + quoted(back));
  const json a = json::parse(must_run("generate " + quoted(hf) + " 'Tom and' -n 40 --json").out);
  const json b = json::parse(must_run("generate " + quoted(back) + " 'Tom and' -n 40 --json").out);
  EXPECT_EQ(a.at("tokens"), b.at("tokens"));
}

TEST(SmallModel, RefusalsLeaveNothingBehind) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  const auto out = folder.path / "out.gguf";
  struct {
    const char* options;
    const char* words;
  } const cases[] = {
      {"-f q4_k --no-fallback", "q4_k"},      // 64 columns
      {"-f int4_g32 --to gguf", "int4_g32"},  // GGUF has no such type
      {"-f q9_9", "q9_9"},
      {"-f q8_0 --max-ram 1KB", "memory"},
      {"-f q8_0 --set range=wide", "range"},
      {"-f q8_0 --override tail=q4_0", "tail"},
      {"-f q8_0 --text /no/such/text", "/no/such/text"},
  };
  for (const auto& c : cases) {
    const Ran ran = run_pith("quantize " + quoted(model) + " -o " + quoted(out) + " " + c.options);
    EXPECT_EQ(ran.exit_code, 1) << c.options;
    EXPECT_NE(ran.err.find(c.words), std::string::npos) << c.options << ": " << ran.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

TEST(SmallModel, AnExistingOutputIsKeptUnlessToldOtherwise) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  const auto out = folder.path / "out.gguf";
  must_run("quantize " + quoted(model) + " -f q8_0 -o " + quoted(out));
  const std::string before = read_file(out);
  EXPECT_EQ(run_pith("quantize " + quoted(model) + " -f q4_0 -o " + quoted(out)).exit_code, 1);
  EXPECT_EQ(read_file(out), before);
  must_run("quantize " + quoted(model) + " -f q4_0 --overwrite -o " + quoted(out));
  EXPECT_LT(read_file(out).size(), before.size());
}

TEST(SmallModel, DryRunWritesNothingAndListsFallbacks) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  const Ran ran =
      must_run("quantize " + quoted(model) + " -f q4_k --dry-run --json -o " + quoted(folder.path / "out.gguf"));
  const json plan = json::parse(ran.out);
  bool fell_back = false;
  for (const auto& tensor : plan.at("tensors"))
    if (tensor.at("role") == "attn_q") fell_back = tensor.at("to") == "q5_0" && tensor.at("wanted") == "q4_k";
  EXPECT_TRUE(fell_back);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

}  // namespace
}  // namespace pith::test
