// Mean squared errors on samples of N(0, 1), against values from independent simulations in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

using Kind = RangeSearch::Kind;

struct Oracle {
  const char* format;
  Kind kind;
  double error;
  double tolerance = 0.015;
  dim cols = 8192;
  double least = 0;  // of the expected error, where a better search than the simulation's may go below
};

void PrintTo(const Oracle& o, std::ostream* out) { *out << o.format; }

struct OnNormalSamples : testing::TestWithParam<Oracle> {};

TEST_P(OnNormalSamples, MeanSquaredError) {
  const Oracle& o = GetParam();
  const Format& f = format_or_throw(o.format);
  const dim cols = o.cols, rows = (dim(1) << 19) / cols;
  Rng rng(0);
  std::vector<float> x(static_cast<std::size_t>(cols)), y(x.size());
  std::vector<std::byte> row(std::size_t(row_bytes(f, cols)));
  double sum = 0;
  for (dim r = 0; r < rows; ++r) {
    for (float& v : x) v = float(rng.normal());
    f.encode(f, x.data(), nullptr, cols, {.kind = o.kind}, row.data());
    f.decode(f, row.data(), cols, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double(x[i]) - double(y[i]), 2);
  }
  const double error = sum / double(cols * rows);
  EXPECT_LE(error, o.error * (1 + o.tolerance));
  EXPECT_GE(error, o.error * (o.least > 0 ? o.least : 1 - o.tolerance));
}

const Oracle kOracles[] = {
    {"int2_g32", Kind::minmax, .1650},
    {"int2_g64", Kind::minmax, .2088},
    {"int2_g128", Kind::minmax, .2529},
    {"int3_g32", Kind::minmax, .02995},
    {"int3_g64", Kind::minmax, .03808},
    {"int3_g128", Kind::minmax, .04639},
    {"int4_g32", Kind::minmax, .00652},
    {"int4_g64", Kind::minmax, .00829},
    {"int4_g128", Kind::minmax, .01010},
    {"int4_g128_sym", Kind::minmax, .01063},
    {"int3_g128_sym", Kind::minmax, .04310},
    {"int8_g128", Kind::minmax, 3.467e-5, .03},      // 44.6 dB, to .1 dB
    {"int8_g128_sym", Kind::minmax, 4.169e-5, .03},  // 43.8 dB
    {"nf4_b64", Kind::minmax, .00845},
    {"nf4_b64_dq", Kind::minmax, .00845},
    {"fp4_b64", Kind::minmax, .01488},
    {"mxfp4", Kind::minmax, .01322},
    {"nvfp4_row", Kind::minmax, .00903},
    {"mxfp6_e2m3", Kind::minmax, .00081},
    {"mxfp6_e3m2", Kind::minmax, .00292},
    {"mxfp8_e4m3", Kind::minmax, .00086},
    {"mxfp8_e5m2", Kind::minmax, .00292},
    {"fp8_e4m3", Kind::minmax, .00070},
    // Lloyd-Max; levels fitted to short rows do better than those of the distribution.
    {"kmeans2_row", Kind::best, .1176, .015, 65536},
    {"kmeans3_row", Kind::best, .0345, .015, 65536},
    {"kmeans4_row", Kind::best, .0095, .015, 65536},
    // The simulation alternates from the greedy start alone.
    {"bcq2_g128", Kind::best, .114, .015, 8192, .95},
    {"bcq3_g128", Kind::best, .0351, .015, 8192, .9},
    {"bcq4_g128", Kind::best, .0107, .015, 8192, .8},
};

INSTANTIATE_TEST_SUITE_P(All, OnNormalSamples, testing::ValuesIn(kOracles), [](const auto& it) {
  return std::string(it.param.format) + (it.param.kind == Kind::minmax ? "_minmax" : "");
});

}  // namespace
}  // namespace pith
