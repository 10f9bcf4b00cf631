// Norms, activations, rope and softmax against double precision and literal values.
#include "kernels/rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "ops/gate.h"
#include "ops/norm.h"
#include "ops/rope.h"

namespace pith {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Norm, RmsOfLiteralValues) {
  const float x[] = {1, 2, 3, 4}, weight[] = {1, 1, 2, 0.5f};
  float out[4];
  // mean square 7.5; eps 0.5: 1 / sqrt(8) = 0.35355339
  ASSERT_TRUE(
      norm_rows({.x = x, .n = 1, .cols = 4, .stride = 4, .weight = weight, .eps = 0.5, .out = out, .out_stride = 4}));
  const float expected[] = {0.35355339f, 0.70710678f, 2.12132034f, 0.70710678f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(out[i], expected[i], 1e-6) << i;
  ASSERT_TRUE(norm_rows({.x = x,
                         .n = 1,
                         .cols = 4,
                         .stride = 4,
                         .weight = weight,
                         .plus_one = true,
                         .eps = 0.5,
                         .out = out,
                         .out_stride = 4}));
  EXPECT_NEAR(out[3], 4 * 0.35355339 * 1.5, 1e-6);
}

TEST(Norm, LayerOfLiteralValues) {
  const float x[] = {1, 2, 3, 4}, bias[] = {0, 0, 10, 0};
  float out[4];
  // mean 2.5, variance 1.25: 1 / sqrt(1.25) = 0.89442719
  ASSERT_TRUE(norm_rows({.x = x,
                         .n = 1,
                         .cols = 4,
                         .stride = 4,
                         .bias = bias,
                         .layer_norm = true,
                         .eps = 0,
                         .out = out,
                         .out_stride = 4}));
  const float expected[] = {-1.34164079f, -0.44721360f, 10.44721360f, 1.34164079f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(out[i], expected[i], 1e-6) << i;
}

TEST(Norm, TellsOfValuesThatAreNotFinite) {
  std::vector<float> x(3 * 19, 1.0f), out(3 * 19);
  const auto finite = [&] {
    return norm_rows({.x = x.data(), .n = 3, .cols = 19, .stride = 19, .out = out.data(), .out_stride = 19});
  };
  EXPECT_TRUE(finite());
  x[40] = kNan;
  EXPECT_FALSE(finite());
  x[40] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(finite());
  x[40] = 1e25f;  // its square is no f32, yet it is finite
  EXPECT_TRUE(finite());
  EXPECT_NEAR(out[40], std::sqrt(19.0), 1e-5);
}

double act(ActivationKernel kind, double v) {
  switch (kind) {
    case ActivationKernel::silu:
      return v / (1 + std::exp(-v));
    case ActivationKernel::gelu_tanh:
      return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case ActivationKernel::gelu_erf:
      return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    case ActivationKernel::relu:
      return std::max(v, 0.0);
  }
  return 0;
}

TEST(Gate, ActivationsOverTheWholeRange) {
  for (const auto kind :
       {ActivationKernel::silu, ActivationKernel::gelu_tanh, ActivationKernel::gelu_erf, ActivationKernel::relu}) {
    std::vector<float> x, out;
    for (int i = -30000; i <= 30001; ++i) x.push_back(float(i) * 1e-3f);
    out.resize(x.size());
    gate_rows({.kind = kind,
               .gate = x.data(),
               .n = 2,
               .cols = dim(x.size()) / 2,
               .stride = dim(x.size()) / 2,
               .out = out.data()});
    for (std::size_t i = 0; i < x.size(); ++i) {
      // 1.5e-7 of x is the error of erf's polynomial; the others are within 3e-7 of the result.
      ASSERT_NEAR(out[i], act(kind, double(x[i])), 3e-7 * (1 + std::abs(double(x[i])))) << int(kind) << " at " << x[i];
    }
  }
}

TEST(Gate, MultipliesByUpAndKeepsNan) {
  const float gate[] = {1, -1, 2, kNan}, up[] = {2, 3, -1, 1};
  float out[4];
  activate(ActivationKernel::silu, gate, up, 4, out);
  EXPECT_NEAR(out[0], 2 * 0.73105858, 1e-6);
  EXPECT_NEAR(out[1], 3 * -0.26894142, 1e-6);
  EXPECT_NEAR(out[2], -1.76159416, 1e-6);
  EXPECT_TRUE(std::isnan(out[3]));
}

TEST(Softmax, EqualsDoublePrecision) {
  for (const dim n : {dim(1), dim(3), dim(8), dim(77)}) {
    Rng rng(std::uint64_t(n) + 1);
    std::vector<float> x;
    for (dim i = 0; i < n; ++i) x.push_back(float(rng.normal() * 20));
    const float top = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const float v : x) sum += std::exp(double(v - top));
    std::vector<float> p = x;
    softmax_row(p.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(double(x[i] - top)) / sum;
      ASSERT_NEAR(p[i], expected, 1e-6 * expected + 1e-37);
    }
  }
}

TEST(SoftCap, IsTanh) {
  std::vector<float> x;
  for (int i = -100; i <= 100; ++i) x.push_back(float(i));
  std::vector<float> y = x;
  soft_cap(y.data(), 30, dim(y.size()));
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], 30 * std::tanh(double(x[i]) / 30), 1e-5) << x[i];
}

TEST(Rope, RotatesPairs) {
  // One head of 4, two pairs with frequencies 1 and 0.01 (base 10000), position 2.
  const std::vector<double> f = rope_frequencies({.dims = 4, .base = 10000}, 0);
  ASSERT_EQ(f.size(), 2u);
  EXPECT_DOUBLE_EQ(f[0], 1);
  EXPECT_NEAR(f[1], 0.01, 1e-15);
  RopeTable table;
  const dim positions[] = {0, 2};
  table.fill(f, 1, positions);
  float halves[] = {1, 2, 3, 4}, neighbours[] = {1, 2, 3, 4};
  rope_row(halves, 1, 4, table, 1, false);
  rope_row(neighbours, 1, 4, table, 1, true);
  // cos 2 = -0.41614684, sin 2 = 0.90929743, cos 0.02 = 0.99980001, sin 0.02 = 0.01999867
  const double expected_halves[] = {-0.41614684 - 3 * 0.90929743, 2 * 0.99980001 - 4 * 0.01999867,
                                    3 * -0.41614684 + 0.90929743, 4 * 0.99980001 + 2 * 0.01999867};
  const double expected_neighbours[] = {-0.41614684 - 2 * 0.90929743, 2 * -0.41614684 + 0.90929743,
                                        3 * 0.99980001 - 4 * 0.01999867, 4 * 0.99980001 + 3 * 0.01999867};
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(halves[i], expected_halves[i], 1e-6) << i;
    EXPECT_NEAR(neighbours[i], expected_neighbours[i], 1e-6) << i;
  }
}

TEST(Rope, WideHeadsEqualNarrowOnes) {  // the eight-wide path against the one-by-one formula
  for (const bool neighbours : {false, true}) {
    const dim half = 21;
    std::vector<float> x(42), c(21), s(21);
    for (std::size_t i = 0; i < 42; ++i) x[i] = float(i) - 20;
    for (std::size_t i = 0; i < 21; ++i) c[i] = float(std::cos(double(i))), s[i] = float(std::sin(double(i)));
    const auto before = x;
    rotate(x.data(), c.data(), s.data(), half, neighbours);
    for (std::size_t i = 0; i < 21; ++i) {
      const std::size_t a = neighbours ? 2 * i : i, b = neighbours ? 2 * i + 1 : i + 21;
      EXPECT_NEAR(x[a], double(before[a]) * c[i] - double(before[b]) * s[i], 1e-5);
      EXPECT_NEAR(x[b], double(before[b]) * c[i] + double(before[a]) * s[i], 1e-5);
    }
  }
}

TEST(Rope, Llama3FrequenciesOfLlama32) {
  // Llama 3.2 1B: head 64, base 500000, factor 32, context 8192, low 1, high 4.
  const auto f = rope_frequencies(
      {.dims = 64, .base = 500000, .rule = RopeRule::llama3, .factor = 32, .original_context = 8192}, 0);
  EXPECT_DOUBLE_EQ(f[0], 1);                                       // wavelength 6.3: kept
  EXPECT_NEAR(f[14], std::pow(500000.0, -28.0 / 64), 1e-12);       // wavelength 1956 < 2048: kept
  EXPECT_NEAR(f[31], std::pow(500000.0, -62.0 / 64) / 32, 1e-15);  // far beyond 8192: divided
  const double plain = std::pow(500000.0, -32.0 / 64);             // wavelength 4443: between
  const double smooth = (8192 * plain / (2 * M_PI) - 1) / 3;
  EXPECT_NEAR(f[16], plain * (smooth + (1 - smooth) / 32), 1e-12);
}

TEST(Rope, DynamicKeepsShortSequences) {
  const RopeChoice c = {.dims = 8, .base = 100, .rule = RopeRule::dynamic, .factor = 2, .original_context = 64};
  EXPECT_NEAR(rope_frequencies(c, 64)[1], std::pow(100.0, -0.25), 1e-12);
  // length 128: base * (2 * 128 / 64 - 1)^(8 / 6) = 100 * 3^(4/3) = 432.674871
  EXPECT_NEAR(rope_frequencies(c, 128)[1], std::pow(432.6748710922, -0.25), 1e-9);
}

}  // namespace
}  // namespace pith
