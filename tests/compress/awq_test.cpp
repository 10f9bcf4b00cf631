#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compress/quantize/awq_clip.h"
#include "compress/quantize/awq_scale.h"
#include "core/rng.h"

namespace pith {

namespace {

std::vector<float> normals(dim count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& v : x) v = float(rng.normal());
  return x;
}

// Inputs whose neighbours have much in common; column `loud` is a hundred times the others where it is one.
std::vector<float> inputs(dim rows, dim n, dim loud) {
  const auto own = normals(rows * n, 1), common = normals(rows, 2);
  std::vector<float> x(static_cast<std::size_t>(rows * n));
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < n; ++c)
      x[std::size_t(r * n + c)] = (own[std::size_t(r * n + c)] + common[std::size_t(r)]) * (c == loud ? 100.0f : 1.0f);
  return x;
}

InputStats stats_of(const std::vector<float>& x, dim n) {
  InputStats stats(n, true);
  stats.add(x.data(), dim(x.size()) / n);
  return stats;
}

ScaledMatrix matrix_of(const std::vector<float>& w, const Format& f, const InputStats& stats) {
  return {dim(w.size()) / stats.cols, stats.cols, &f, &stats,
          [&w, n = stats.cols](dim row, float* values) { std::copy_n(w.data() + row * n, n, values); }};
}

// Sum over tokens of the squared error of outputs [first, first + width) of a row, by the inputs themselves.
double output_error(const std::vector<float>& x, dim n, const float* e, dim first, dim width) {
  double sum = 0;
  for (dim r = 0; r < dim(x.size()) / n; ++r) {
    double y = 0;
    for (dim c = first; c < first + width; ++c) y += double(x[std::size_t(r * n + c)]) * double(e[c]);
    sum += y * y;
  }
  return sum;
}

constexpr RangeSearch kPlain{RangeSearch::Kind::minmax, 2.4, 80};

}  // namespace

TEST(AwqScale, ALoudChannelIsScaledUp) {
  const dim n = 64, rows = 12, loud = 7;
  const Format& f = format_or_throw("q4_0");
  const auto x = inputs(300, n, loud), w = normals(rows * n, 3);
  const InputStats stats = stats_of(x, n);
  const ScaledMatrix matrix = matrix_of(w, f, stats);
  const AwqSearch got = awq_search({&matrix, 1}, kPlain, 1000);
  ASSERT_EQ(got.losses.size(), 20u);
  EXPECT_GT(got.best, 0u);
  EXPECT_LT(got.losses[got.best], 0.5 * got.losses[0]);
  for (const double loss : got.losses) EXPECT_LE(got.losses[got.best], loss);
  // (mean |x|)^alpha, the smallest and the largest each other's inverse
  const double alpha = 0.05 * double(got.best);
  ASSERT_EQ(got.factors.size(), std::size_t(n));
  const auto [low, high] = std::minmax_element(got.factors.begin(), got.factors.end());
  EXPECT_NEAR(*low * *high, 1, 1e-5);
  EXPECT_EQ(high - got.factors.begin(), loud);
  EXPECT_NEAR(got.factors[loud] / got.factors[0], std::pow(stats.magnitudes[loud] / stats.magnitudes[0], alpha),
              1e-4 * got.factors[loud] / got.factors[0]);
}

// The loss is the squared error of the outputs over all tokens, with the factors divided out again.
TEST(AwqScale, LossesAreThoseOfTheOutputs) {
  const dim n = 64, rows = 5;
  const Format& f = format_or_throw("q4_0");
  const auto x = inputs(200, n, 9), w = normals(rows * n, 4);
  const InputStats stats = stats_of(x, n);
  const ScaledMatrix matrix = matrix_of(w, f, stats);
  const AwqSearch got = awq_search({&matrix, 1}, kPlain, 1000);
  ASSERT_FALSE(got.factors.empty());
  for (const bool scaled : {false, true}) {
    double expected = 0;
    for (dim r = 0; r < rows; ++r) {
      std::vector<float> row(w.begin() + r * n, w.begin() + (r + 1) * n), decoded(row.size());
      std::vector<std::byte> codes(std::size_t(row_bytes(f, n)));
      if (scaled)
        for (std::size_t c = 0; c < row.size(); ++c) row[c] *= got.factors[c];
      f.encode(f, row.data(), nullptr, n, kPlain, codes.data());
      f.decode(f, codes.data(), n, decoded.data());
      for (std::size_t c = 0; c < row.size(); ++c)
        decoded[c] = w[std::size_t(r * n) + c] - decoded[c] / (scaled ? got.factors[c] : 1);
      expected += output_error(x, n, decoded.data(), 0, n);
    }
    EXPECT_NEAR(got.losses[scaled ? got.best : 0], expected, 1e-4 * expected) << scaled;
  }
}

TEST(AwqScale, EqualInputsStayAsTheyAre) {
  const dim n = 32;
  std::vector<float> x(static_cast<std::size_t>(n * n));
  for (dim i = 0; i < n; ++i) x[std::size_t(i * n + i)] = 3;
  const auto w = normals(4 * n, 5);
  const InputStats stats = stats_of(x, n);
  const ScaledMatrix matrix = matrix_of(w, format_or_throw("q4_0"), stats);
  EXPECT_TRUE(awq_search({&matrix, 1}, kPlain, 128).factors.empty());
}

// Matrices that share an input, and one with its own: a sum. Few rows stand for all.
TEST(AwqScale, LossesOfSeveralMatricesAddUp) {
  const dim n = 64;
  const Format& f = format_or_throw("q4_0");
  const auto x = inputs(200, n, 9), y = inputs(100, n, 30), a = normals(6 * n, 6), b = normals(4 * n, 7);
  const InputStats of_x = stats_of(x, n), of_y = stats_of(y, n);
  const std::vector<ScaledMatrix> all = {matrix_of(a, f, of_x), matrix_of(b, f, of_x), matrix_of(b, f, of_y)};
  double sum = 0;
  for (const ScaledMatrix& m : all) sum += awq_search({&m, 1}, kPlain, 1000).losses[0];
  EXPECT_NEAR(awq_search(all, kPlain, 1000).losses[0], sum, 1e-6 * sum);
  std::vector<float> repeated;  // rows all alike
  for (int i = 0; i < 8; ++i) repeated.insert(repeated.end(), a.begin(), a.begin() + n);
  const ScaledMatrix m = matrix_of(repeated, f, of_x);
  const double whole = awq_search({&m, 1}, kPlain, 8).losses[3];
  EXPECT_NEAR(awq_search({&m, 1}, kPlain, 3).losses[3], whole, 1e-6 * whole);
}

TEST(AwqClip, NeverRaisesABlocksError) {
  const dim n = 256, rows = 10;
  const auto x = inputs(400, n, -1);
  auto w = normals(rows * n, 8);
  for (dim r = 0; r < rows; ++r) w[std::size_t(r * n + 13 * r)] = 9;  // worth cutting
  const InputStats stats = stats_of(x, n);
  for (const char* name : {"q4_0", "int3_g128", "iq4_nl", "q4_k"}) {
    const Format& f = format_or_throw(name);
    const auto clip = make_clip(stats, f);
    ASSERT_TRUE(clip) << name;
    std::vector<std::byte> cut(std::size_t(rows * row_bytes(f, n))), plain(cut);
    round_with_clip(*clip, {.source = w.data(), .rows = rows, .cols = n, .format = &f, .out = cut.data()}, kPlain);
    double gained = 0, all = 0;
    for (dim r = 0; r < rows; ++r) {
      f.encode(f, w.data() + r * n, nullptr, n, kPlain, plain.data() + r * row_bytes(f, n));
      std::vector<float> e(std::size_t(2 * n));
      for (int k = 0; k < 2; ++k) {
        f.decode(f, (k ? plain : cut).data() + r * row_bytes(f, n), n, e.data() + k * n);
        for (dim c = 0; c < n; ++c) e[std::size_t(k * n + c)] -= w[std::size_t(r * n + c)];
      }
      for (dim begin = 0; begin < n; begin += f.block) {
        const double with = output_error(x, n, e.data(), begin, f.block),
                     without = output_error(x, n, e.data() + n, begin, f.block);
        EXPECT_LE(with, without * (1 + 1e-5)) << name << " row " << r << " block " << begin;
        gained += without - with;
        all += without;
      }
    }
    EXPECT_GT(gained, 0.05 * all) << name;
  }
}

TEST(AwqClip, LeavesRowsWithoutBlocksAlone) {
  const auto x = inputs(50, 64, -1);
  EXPECT_FALSE(make_clip(stats_of(x, 64), format_or_throw("kmeans4_row")));
}

}  // namespace pith
