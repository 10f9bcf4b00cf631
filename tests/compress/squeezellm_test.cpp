#include <gtest/gtest.h>

#include "tests/compress/feedback_support.h"

namespace pith::test {

namespace {

std::vector<float> run(const char* format, const std::vector<float>& w, dim cols, const std::vector<float>& x,
                       std::vector<std::string> options) {
  return compressed_by(method_or_throw("squeezellm"), format_or_throw(format), w, x, cols, options);
}

double mean_square(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
  return sum / double(a.size());
}

}  // namespace

// The least error of 4, 8 and 16 levels on a normal distribution. Levels fitted to the 4096 samples of a row get below
// it, the more so the fewer samples a level has: by up to 6 %.
TEST(SqueezeLlm, ReachesLloydMax) {
  const dim cols = 4096;
  const auto w = normals(8 * cols, 1);
  const std::vector<float> ones(std::size_t(cols), 1.0f);
  const std::pair<const char*, double> cases[] = {
      {"kmeans2_row", .1176}, {"kmeans3_row", .0345}, {"kmeans4_row", .0095}};
  for (const auto& [format, expected] : cases) {
    const double got = mean_square(w, run(format, w, cols, ones, {"outliers=0"}));
    EXPECT_NEAR(got, expected, 0.06 * expected) << format;
  }
}

TEST(SqueezeLlm, FactorsOfTwoChangeNothing) {
  const dim cols = 512;
  auto w = normals(4 * cols, 2);
  const auto x = normals(64 * cols, 3);
  const auto once = run("kmeans3_row", w, cols, x, {});
  for (float& v : w) v *= 4;
  const auto scaled = run("kmeans3_row", w, cols, x, {});
  for (std::size_t i = 0; i < once.size(); ++i) ASSERT_EQ(scaled[i], 4 * once[i]) << i;
}

// An outlier is kept to float16's precision, and the levels are those of the row without it.
TEST(SqueezeLlm, FarValuesLeaveTheLevelsAlone) {
  const dim cols = 400;
  auto w = normals(cols, 4);
  const std::vector<float> ones(std::size_t(cols), 1.0f);
  w[7] = 90, w[300] = -120;
  const auto got = run("kmeans3_row", w, cols, ones, {"outliers=0.5", "sensitive=0"});
  EXPECT_NEAR(got[7], 90, 0.05);
  EXPECT_NEAR(got[300], -120, 0.05);
  double error = 0;
  for (dim c = 0; c < cols; ++c) error += std::pow(double(got[std::size_t(c)]) - double(w[std::size_t(c)]), 2);
  EXPECT_LT(error / double(cols), 1.1 * .0345);
  EXPECT_GT(mean_square(w, run("kmeans3_row", w, cols, ones, {"outliers=0"})), .0345 * 1.5);
}

TEST(SqueezeLlm, ErrorFallsWithThePlaces) {
  const dim cols = 512;
  const auto w = normals(6 * cols, 5), x = normals(64 * cols, 6);
  const auto h = moments(x, cols);
  double last = 1e300;
  for (const char* share : {"outliers=0", "outliers=0.5", "outliers=2", "outliers=10"}) {
    const double now = damage(w, run("kmeans2_row", w, cols, x, {share}), h, cols);
    EXPECT_LT(now, last) << share;
    last = now;
  }
}

// Columns with large inputs are the ones that weigh: their error is smaller than with equal weights.
TEST(SqueezeLlm, WeighsByTheInputs) {
  const dim cols = 512;
  const auto w = normals(6 * cols, 7);
  auto x = normals(64 * cols, 8);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (i % 512 < 40) x[i] *= 20;
  const auto h = moments(x, cols);
  EXPECT_LT(damage(w, run("kmeans3_row", w, cols, x, {"outliers=0"}), h, cols),
            0.7 * damage(w, run("kmeans3_row", w, cols, x, {"outliers=0", "weights=equal"}), h, cols));
}

// The same by a weight for each value: their weighted error is smaller than with equal weights, whatever their unit.
TEST(SqueezeLlm, WeighsByGradients) {
  const dim rows = 6, cols = 512;
  const Method& m = method_or_throw("squeezellm");
  const Format& f = format_or_throw("kmeans3_row");
  const auto w = normals(rows * cols, 9);
  auto weights = normals(rows * cols, 10);
  for (float& v : weights) v = v * v * v * v * 1e-20f;
  const auto weighted_error = [&](const char* choice) {
    std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, cols)));
    LayerTask task{.source = w.data(), .rows = rows, .cols = cols, .format = &f, .out = bytes.data()};
    task.fisher = weights.data();
    m.layer(task, Options(m.name, m.options, {"outliers=0", choice}));
    const auto got = decoded(f, bytes, rows, cols);
    double sum = 0;
    for (std::size_t i = 0; i < w.size(); ++i) sum += 1e20 * double(weights[i]) * std::pow(double(w[i]) - got[i], 2);
    return sum;
  };
  EXPECT_LT(weighted_error("weights=fisher"), 0.9 * weighted_error("weights=equal"));
}

}  // namespace pith::test
