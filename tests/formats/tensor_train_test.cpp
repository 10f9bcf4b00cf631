// Tensor trains: what they keep is known from the singular values of a row that was made of them.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

using Values = std::vector<float>;

Values through(const char* format, const Values& x) {
  const Format& f = format_or_throw(format);
  const dim n = dim(x.size());
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, n)));
  f.encode(f, x.data(), nullptr, n, {}, bytes.data());
  Values out(x.size());
  f.decode(f, bytes.data(), n, out.data());
  return out;
}

double squares(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return sum;
}

// Orthonormal: the discrete cosine transform's vector k of n.
double wave(int n, int k, int i) {
  return std::sqrt((k ? 2.0 : 1.0) / n) * std::cos(std::numbers::pi * k * (i + 0.5) / n);
}

TEST(TensorTrain, BytesFollowFromTheRanks) {
  // 576 = 2^6 3^2, ranks 1 2 4 4 4 4 4 3 1: cores of 4, 16, 32, 32, 32, 32, 36 and 9 values.
  EXPECT_EQ(row_bytes(format_or_throw("tt_r4"), 576), 4 + 2 * 193);
  // 16 = 2^4, ranks 1 2 4 2 1.
  EXPECT_EQ(row_bytes(format_or_throw("tt_r16"), 16), 4 + 2 * 40);
  EXPECT_EQ(row_bytes(format_or_throw("tt_r2"), 7), 4 + 2 * 7);  // one core
}

TEST(TensorTrain, FullRanksKeepEverything) {
  Rng rng(1);
  Values x(256);  // its middle is 16 x 16
  for (float& v : x) v = float(rng.normal());
  EXPECT_LT(squares(x, through("tt_r16", x)), 1e-6 * squares(x, Values(256)));
}

TEST(TensorTrain, TwoSidesLoseTheSmallSingularValues) {
  // A matrix of 7 x 11 with the singular values 4, 3, 1 and 1/2: two primes, one cut, of rank 2.
  const double values[] = {4, 3, 1, 0.5};
  Values x(77);
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 11; ++j)
      for (int k = 0; k < 4; ++k) x[std::size_t(i * 11 + j)] += float(values[k] * wave(7, k, i) * wave(11, k + 1, j));
  EXPECT_NEAR(squares(x, through("tt_r2", x)), 1 + 0.25, 2e-3);
  EXPECT_LT(squares(x, through("tt_r4", x)), 1e-4);
}

TEST(TensorTrain, ProductsOfFunctionsOfEachDigitAreOfRankOne) {
  Values x(576);
  const double factors[] = {0.5, 1.5, -1, 2, 0.25, 1.25};
  for (std::size_t i = 0; i < x.size(); ++i) {
    double v = 3;
    std::size_t rest = i / 9;
    for (const double f : factors) v *= rest % 2 ? f : 1, rest /= 2;
    x[i] = float(v * double(1 + i % 9));
  }
  EXPECT_LT(squares(x, through("tt_r2", x)), 1e-5 * squares(x, Values(576)));
}

TEST(TensorTrain, MoreRankLosesLess) {
  Rng rng(2);
  Values x(576);
  for (float& v : x) v = float(rng.normal());
  double last = squares(x, Values(576));
  for (const char* format : {"tt_r2", "tt_r4", "tt_r8", "tt_r16"}) {
    const double lost = squares(x, through(format, x));
    EXPECT_LT(lost, last) << format;
    last = lost;
  }
}

}  // namespace
}  // namespace pith
