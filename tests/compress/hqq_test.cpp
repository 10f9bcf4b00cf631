#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compress/method.h"
#include "core/rng.h"

namespace pith {

namespace {

constexpr dim kRows = 24, kCols = 512;

std::vector<float> heavy_tailed(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(kRows * kCols);
  for (float& v : x) v = float(rng.normal() * std::exp(rng.normal())) * 0.02f;
  return x;
}

std::vector<float> rounded(const char* method, const Format& f, const std::vector<float>& x,
                           const std::vector<std::string>& options) {
  std::vector<std::byte> bytes(std::size_t(kRows * row_bytes(f, kCols)));
  const Method& m = method_or_throw(method);
  m.layer({.source = x.data(), .rows = kRows, .cols = kCols, .format = &f, .out = bytes.data()},
          Options(m.name, m.options, options));
  std::vector<float> out(x.size());
  for (dim r = 0; r < kRows; ++r) f.decode(f, bytes.data() + r * row_bytes(f, kCols), kCols, out.data() + r * kCols);
  return out;
}

double power_error(const float* a, const float* b, dim n, double p) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += std::pow(std::fabs(double(a[i]) - double(b[i])), p);
  return sum;
}

}  // namespace

TEST(Hqq, NeverLosesMoreThanPlainRangesInAnyBlock) {
  const auto x = heavy_tailed(1);
  for (const char* name : {"q4_0", "q4_1", "int4_g128", "int3_g32", "q3_k", "nf4_g32", "iq4_nl", "kmeans4_row"}) {
    const Format* f = find_format(name);
    if (!f || !fits(*f, kCols)) continue;
    const auto plain = rounded("rtn", *f, x, {"range=minmax"}), own = rounded("hqq", *f, x, {});
    const dim block = f->block > 0 ? f->block : kCols;
    double sum_plain = 0, sum_own = 0;
    for (dim at = 0; at < kRows * kCols; at += block) {
      const double a = power_error(&x[std::size_t(at)], &plain[std::size_t(at)], block, 0.7);
      const double b = power_error(&x[std::size_t(at)], &own[std::size_t(at)], block, 0.7);
      ASSERT_LE(b, a * (1 + 1e-9)) << name << " at " << at;
      sum_plain += a;
      sum_own += b;
    }
    EXPECT_LT(sum_own, 0.99 * sum_plain) << name;
  }
}

// More rounds start from the same ranges and keep the best.
TEST(Hqq, RoundsOnlyHelp) {
  const auto x = heavy_tailed(2);
  const Format& f = format_or_throw("int3_g128");
  double last = 1e300;
  for (const char* rounds : {"rounds=1", "rounds=3", "rounds=20"}) {
    const double now = power_error(x.data(), rounded("hqq", f, x, {rounds}).data(), kRows * kCols, 0.7);
    EXPECT_LE(now, last);
    last = now;
  }
  const double none = power_error(x.data(), rounded("rtn", f, x, {}).data(), kRows * kCols, 0.7);
  EXPECT_LT(last, none);
}

TEST(Hqq, ScalesWithTheWeights) {
  const auto x = heavy_tailed(3);
  auto larger = x;
  for (float& v : larger) v *= 4;
  const Format& f = format_or_throw("q4_0");
  auto expected = rounded("hqq", f, x, {});
  for (float& v : expected) v *= 4;
  EXPECT_EQ(rounded("hqq", f, larger, {}), expected);
}

}  // namespace pith
