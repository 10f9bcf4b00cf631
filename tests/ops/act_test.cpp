// Inputs rounded at run time, and products of integer codes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/half.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "formats/grid.h"
#include "ops/act/act_codec.h"
#include "ops/act/act_rows.h"
#include "ops/integer_product.h"

namespace pith {
namespace {

using Floats = std::vector<float>;

Floats normals(dim n, std::uint64_t seed) {
  Rng rng(seed);
  Floats v(static_cast<std::size_t>(n));
  for (float& x : v) x = float(rng.normal());
  return v;
}

Weight encoded(const char* name, const Floats& values, dim rows, dim cols) {
  Encoded e;
  e.format = &format_or_throw(name);
  e.rows = rows;
  e.cols = cols;
  const dim size = row_bytes(*e.format, cols);
  e.owned = Buffer(rows * size);
  for (dim r = 0; r < rows; ++r)
    e.format->encode(*e.format, values.data() + r * cols, nullptr, cols, {}, e.owned.data() + r * size);
  e.data = e.owned.data();
  return e;
}

Floats rounded(const char* codec, const Floats& x, dim cols, float fixed = 0) {
  Floats out(x.size());
  round_act_rows(ActSpec(codec).plan(), fixed, x.data(), dim(x.size()) / cols, cols, out.data());
  return out;
}

Floats product(const Weight& w, const Floats& x, const ActPlan* plan, const float* bias = nullptr, float fixed = 0) {
  const dim rows = weight_rows(w), n = dim(x.size()) / weight_cols(w);
  Floats y(static_cast<std::size_t>(n * rows));
  LinearWorkspace workspace;
  linear({&w, bias, x.data(), n, y.data(), rows, false, plan, fixed}, workspace);
  return y;
}

TEST(Activations, TiesGoToEven) {
  // The largest value is 127, so a step is 1.
  EXPECT_EQ(rounded("int8", {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 3.4f, -126.6f, 0}, 10),
            (Floats{127, 0, 2, 2, 0, -2, -2, 3, -127, 0}));
}

TEST(Activations, EachTokenHasItsScale) {
  EXPECT_EQ(rounded("int8", {127, 10.25f, 254, 10.25f, 0, 0}, 2), (Floats{127, 10, 254, 10, 0, 0}));
}

TEST(Activations, FourBitsCutTheRange) {
  // 0.5 * 14 / 7 = 1 a step; what is beyond -8 and 7 is cut.
  EXPECT_EQ(rounded("int4:clip=0.5", {14, 3.6f, -14, 6.4f}, 4), (Floats{7, 4, -8, 6}));
}

TEST(Activations, FixedScalesSaturate) {
  EXPECT_EQ(rounded("int8:scale=static", {1000, -1000, 3.9f, 0}, 4, 2), (Floats{254, -256, 4, 0}));
}

TEST(Activations, EightBitFloats) {
  // The largest is 448, so codes are values: between 16 and 32 steps of 2, ties to the even mantissa.
  EXPECT_EQ(rounded("fp8", {448, 17, 19, -18.5f, 0.013f, 0}, 6), (Floats{448, 16, 20, -18, 0.013671875f, 0}));
}

TEST(Activations, OutliersStay) {
  EXPECT_EQ(rounded("llm-int8:threshold=6", {127.25f, 0.26f, 2.54f, 6, -6.5f}, 5),
            (Floats{127.25f, 0.26f, 2.54f, 6, -6.5f}));
  EXPECT_EQ(rounded("llm-int8", {9, -7}, 2), (Floats{9, -7}));  // nothing is left to round
}

TEST(Activations, UnknownCodecsAndOptionsAreRefused) {
  EXPECT_THROW(ActSpec("int9"), Error);
  EXPECT_THROW(ActSpec("int8:scale=row"), Error);
  EXPECT_THROW(ActSpec("int4:bits=2"), Error);
  EXPECT_THROW(ActSpec("int8:"), Error);
  EXPECT_FALSE(ActSpec().plan().on());
}

TEST(Activations, WhatIsNotFiniteIsNotLost) {
  for (const char* codec : {"int8", "llm-int8", "fp8"})
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
      for (const char* format : {"int8_row_sym", "f32"}) {
        const Weight w = encoded(format, normals(3 * 8, 1), 3, 8);
        const ActSpec spec(codec);
        Floats x = normals(16, 2);
        x[3] = bad;
        const Floats y = product(w, x, &spec.plan());
        for (std::size_t r = 0; r < 3; ++r) {
          EXPECT_FALSE(std::isfinite(y[r])) << codec << " " << format;
          EXPECT_TRUE(std::isfinite(y[3 + r])) << codec << " " << format;
        }
      }
}

struct Case {
  const char* format;
  dim rows, cols, n;
};
class IntegerProduct : public testing::TestWithParam<Case> {};

// As the definition has it, with sums in double (which holds them exactly) and scaling in f32, group by group.
TEST_P(IntegerProduct, EqualsTheFloatingDefinitionBitForBit) {
  const auto [name, rows, cols, n] = GetParam();
  const Weight w = encoded(name, normals(rows * cols, 1), rows, cols);
  const Floats x = normals(n * cols, 2), bias = normals(rows, 3);
  const ActSpec spec("int8");
  ASSERT_TRUE(is_integer_product({.weight = &w, .act = &spec.plan()}));
  const Floats y = product(w, x, &spec.plan(), bias.data());

  const Encoded& e = std::get<Encoded>(w);
  const Grid grid = grid_of(*e.format, cols);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(grid.group));
  for (dim i = 0; i < n; ++i) {
    float most = 0;
    for (dim c = 0; c < cols; ++c) most = std::max(most, std::fabs(x[std::size_t(i * cols + c)]));
    const float step = most / 127;
    for (dim r = 0; r < rows; ++r) {
      float sum = 0;
      for (dim g = 0; g < cols / grid.group; ++g) {
        const GridGroup group = read_group(*e.format, grid, e.data + r * row_bytes(*e.format, cols), g, codes.data());
        double whole = 0, inputs = 0;
        for (dim j = 0; j < grid.group; ++j) {
          const double code = std::nearbyint(x[std::size_t(i * cols + g * grid.group + j)] / step);
          whole += code * (double(codes[std::size_t(j)]) - group.zero);
          inputs += code;
        }
        float part = float(whole) * f16_to_f32(group.scale_bits);
        if (grid.kind == GridKind::minimum) part += f16_to_f32(group.min_bits) * float(inputs);
        sum += part;
      }
      ASSERT_EQ(y[std::size_t(i * rows + r)], sum * step + bias[std::size_t(r)]) << name << " " << i << ", " << r;
    }
  }
}

// Rounded in f32 and multiplied in double: off by the rounding of the sums alone.
TEST_P(IntegerProduct, EqualsProductsOfRoundedValues) {
  const auto [name, rows, cols, n] = GetParam();
  const Weight w = encoded(name, normals(rows * cols, 1), rows, cols);
  const Floats x = normals(n * cols, 2), near = rounded("int8", x, cols);
  const ActSpec spec("int8");
  const Floats y = product(w, x, &spec.plan());
  const Encoded& e = std::get<Encoded>(w);
  Floats row(static_cast<std::size_t>(cols));
  for (dim r = 0; r < rows; ++r) {
    e.format->decode(*e.format, e.data + r * row_bytes(*e.format, cols), cols, row.data());
    for (dim i = 0; i < n; ++i) {
      double sum = 0, size = 0;
      for (dim c = 0; c < cols; ++c) {
        const double value = double(near[std::size_t(i * cols + c)]) * double(row[std::size_t(c)]);
        sum += value;
        size += std::fabs(value);
      }
      // A few roundings of 2^-24 each, of sums no larger than `size` times the share of zero points.
      ASSERT_NEAR(y[std::size_t(i * rows + r)], sum, 4e-6 * size) << name << " " << i << ", " << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, IntegerProduct,
                         testing::Values(Case{"int8_row_sym", 33, 97, 1}, Case{"int8_row_sym", 33, 97, 9},
                                         Case{"int8_row_sym", 70, 576, 71}, Case{"int8_row", 20, 130, 3},
                                         Case{"int8_row", 20, 130, 21}, Case{"int8_g64_sym", 17, 192, 10},
                                         Case{"int4_g128_sym", 40, 256, 7}, Case{"int4_g128_sym", 40, 256, 66},
                                         Case{"int4_g32", 18, 96, 12}, Case{"int3_g64", 16, 128, 8},
                                         Case{"affine4_g64", 19, 128, 2}, Case{"affine4_g64", 19, 128, 19},
                                         Case{"q8_0", 16, 64, 11}, Case{"q4_0", 31, 64, 4}, Case{"q4_1", 31, 64, 14},
                                         Case{"int2_row", 5, 3, 8}));

TEST(IntegerProduct, NoResultDependsOnOtherTokensOrThreads) {
  const dim rows = 50, cols = 256, n = 90;
  const Weight w = encoded("int4_g64", normals(rows * cols, 1), rows, cols);
  Floats x = normals(n * cols, 2);
  for (std::size_t i = 5; i < x.size(); i += 300) x[i] *= 40;
  for (const char* codec : {"int8", "llm-int8", "int4"}) {
    const ActSpec spec(codec);
    const int before = num_threads();
    set_num_threads(3);
    const Floats all = product(w, x, &spec.plan());
    set_num_threads(1);
    EXPECT_EQ(product(w, x, &spec.plan()), all) << codec;
    for (const dim i : {0, 41, 89}) {
      const Floats one(x.begin() + i * cols, x.begin() + (i + 1) * cols);
      EXPECT_EQ(product(w, one, &spec.plan()), Floats(all.begin() + i * rows, all.begin() + (i + 1) * rows)) << codec;
    }
    set_num_threads(before);
  }
}

// The error of a product with one channel 60 times as large as the others, relative to the exact result.
double relative_error(const Weight& w, const Floats& x, const ActPlan& plan) {
  const Floats exact = product(w, x, nullptr), near = product(w, x, &plan);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(double(near[i]) - double(exact[i]), 2);
    size += std::pow(double(exact[i]), 2);
  }
  return std::sqrt(error / size);
}

TEST(LlmInt8, ThresholdFromNoneToAll) {
  const dim rows = 24, cols = 128, n = 12;
  const Weight w = encoded("int8_row_sym", normals(rows * cols, 1), rows, cols);
  Floats x = normals(n * cols, 2);
  for (dim i = 0; i < n; ++i) x[std::size_t(i * cols + 7)] *= 60;
  const ActSpec plain("int8"), none("llm-int8:threshold=1e30"), some("llm-int8"), all("llm-int8:threshold=0");
  EXPECT_EQ(product(w, x, &none.plan()), product(w, x, &plain.plan()));
  EXPECT_LT(relative_error(w, x, all.plan()), 1e-6);  // the order of a sum of 128 products
  // Without the large channel, steps are those of the other values: smaller by about its ratio to their largest.
  Floats usual = x;
  for (dim i = 0; i < n; ++i) usual[std::size_t(i * cols + 7)] = 0;
  const double without = relative_error(w, usual, plain.plan());
  const Floats exact = product(w, x, nullptr);
  const auto absolute = [&](const ActPlan& plan) {
    const Floats near = product(w, x, &plan);
    double error = 0;
    for (std::size_t i = 0; i < near.size(); ++i) error += std::pow(double(near[i]) - double(exact[i]), 2);
    return std::sqrt(error);
  };
  EXPECT_LT(absolute(some.plan()) * 10, absolute(plain.plan()));
  EXPECT_LT(without, 0.02);
}

}  // namespace
}  // namespace pith
