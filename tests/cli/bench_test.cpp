// pith bench, and products from panels in whole models.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/fast_network.h"
#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

class QuantizedStories : public testing::Test {
 protected:
  void SetUp() override {
    PITH_NEED_DATA(model, "models/stories260K/hf");
    source_ = model.string();
    file_ = (std::filesystem::path(testing::TempDir()) / ("bench-" + std::to_string(getpid()) + ".gguf")).string();
    const Ran ran = run_pith("quantize " + shell_quote(source_) + " --format q8_0 -o " + shell_quote(file_));
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  void TearDown() override {
    if (file_.empty()) return;
    std::filesystem::path stem = file_;
    for (const char* end : {".gguf", ".report.json", ".report.md"})
      std::filesystem::remove(stem.replace_extension(end));
  }
  std::string source_, file_;
};

TEST_F(QuantizedStories, RunFromPanelsCloseToTheProductsInF32) {
  const Model model = Model::open(file_);
  const FastNetwork fast(model), exact(model, nullptr, true);
  EXPECT_EQ(exact.size_bytes(), 0);
  EXPECT_GT(fast.size_bytes(), 200000);  // 260 thousand weights of 8 bits, those of odd rows of 16
  EXPECT_LT(fast.size_bytes(), 350000);
  std::vector<Token> tokens;
  for (int i = 0; i < 24; ++i) tokens.push_back(Token(1 + i * 17 % 500));
  const auto logits = [&](const Network& network, dim piece) {
    Forward forward(network);
    KvCache cache(model.config(), 1, 64);
    std::vector<float> out;
    for (dim i = 0; i < 24; i += piece) {
      const auto next = forward.next(cache, std::span(tokens).subspan(std::size_t(i), std::size_t(piece)));
      out.assign(next.begin(), next.end());
    }
    return out;
  };
  const std::vector<float> a = logits(fast.network(), 24), b = logits(exact.network(), 24);
  double distance = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    distance += std::pow(double(a[i]) - double(b[i]), 2);
    size += std::pow(double(b[i]), 2);
  }
  EXPECT_GT(distance, 0);
  EXPECT_LT(std::sqrt(distance / size),
            0.02);  // inputs of 8 bits: about 1 / 254 of the largest of 32, over 36 products
}

TEST_F(QuantizedStories, AreTimed) {
  const Ran ran = run_pith("bench " + shell_quote(source_) + " " + shell_quote(file_) +
                           " -p 32 -n 4 -r 1 -t 1 --contexts 0,16 --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const json out = json::parse(ran.out);
  EXPECT_EQ(out.at("models").size(), 2u);
  const json &base = out.at("models")[0], &small = out.at("models")[1];
  EXPECT_GT(base.at("stored_bytes"), small.at("stored_bytes"));
  EXPECT_GT(small.at("stored_bytes").get<int>(), 0);
  EXPECT_EQ(base.at("compression_ratio"), 1.0);
  EXPECT_EQ(base.at("cases")[1].at("context"), 16);
  EXPECT_EQ(base.at("cases")[0].at("decode").at("speedup"), 1.0);
  EXPECT_GT(small.at("cases")[0].at("prefill").at("tokens_per_second").get<double>(), 0);
  const Ran table = run_pith("bench " + shell_quote(file_) + " -p 0 -n 2 -r 1");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_NE(table.out.find("decode t/s"), std::string::npos) << table.out;
}

TEST_F(QuantizedStories, GenerateTheSameTextTwice) {
  const std::string ask = "generate " + shell_quote(file_) + " 'Once upon a time' -n 20 --json";
  const json one = json::parse(run_pith(ask + " --threads 1").out),
             two = json::parse(run_pith(ask + " --threads 2").out);
  EXPECT_EQ(one.at("text"), two.at("text"));
}

}  // namespace
}  // namespace pith::test
