#include <gtest/gtest.h>

#include "compress/prune/exchange_values.h"
#include "compress/prune/pattern.h"
#include "compress/prune/preflight_notes.h"
#include "core/error.h"
#include "tests/compress/feedback_support.h"

namespace pith::test {
namespace {

constexpr dim kRows = 20, kCols = 64;
using Strings = std::vector<std::string>;

std::vector<float> pruned(const char* method, const std::vector<float>& w, const std::vector<float>& x,
                          const Strings& options, const char* format = "f32", dim cols = kCols) {
  return compressed_by(method_or_throw(method), format_or_throw(format), w, x, cols, options);
}

dim zeros(std::span<const float> w) { return std::count(w.begin(), w.end(), 0.0f); }
std::span<const float> row_of(const std::vector<float>& w, dim r) {
  return std::span(w).subspan(std::size_t(r * kCols), kCols);
}

// H of `moments` with the damping of sparsegpt's default.
std::vector<double> damped(const std::vector<float>& x, dim n) {
  std::vector<double> h = moments(x, n);
  double mean = 0;
  for (dim i = 0; i < n; ++i) mean += h[std::size_t(i * n + i)] / double(n);
  for (dim i = 0; i < n; ++i) h[std::size_t(i * n + i)] += 0.01 * mean;
  return h;
}

// The values at the places where `like` is not 0 that are best by h, row by row: normal equations by elimination.
std::vector<float> least_squares(const std::vector<float>& w, const std::vector<float>& like,
                                 const std::vector<double>& h, dim n) {
  std::vector<float> out(w.size());
  for (dim r = 0; r < dim(w.size()) / n; ++r) {
    std::vector<dim> at;
    for (dim c = 0; c < n; ++c)
      if (like[std::size_t(r * n + c)] != 0) at.push_back(c);
    const std::size_t k = at.size();
    std::vector<std::vector<double>> a(k, std::vector<double>(k + 1));
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j < k; ++j) a[i][j] = h[std::size_t(at[i] * n + at[j])];
      for (dim c = 0; c < n; ++c) a[i][k] += h[std::size_t(at[i] * n + c)] * double(w[std::size_t(r * n + c)]);
    }
    for (std::size_t i = 0; i < k; ++i)  // positive definite: no pivots
      for (std::size_t j = 0; j < k; ++j) {
        if (j == i) continue;
        const double factor = a[j][i] / a[i][i];
        for (std::size_t c = i; c <= k; ++c) a[j][c] -= factor * a[i][c];
      }
    for (std::size_t i = 0; i < k; ++i) out[std::size_t(r * n + at[i])] = float(a[i][k] / a[i][i]);
  }
  return out;
}

}  // namespace

TEST(DropLowest, TakesExactlySoManyAndOfEqualsTheLast) {
  const std::vector<float> scores{2, 1, 3, 1, 1, 2};
  std::uint8_t kept[6];
  drop_lowest(scores, 2, kept);
  EXPECT_EQ(std::vector<int>(kept, kept + 6), (std::vector<int>{1, 1, 1, 0, 0, 1}));
  drop_lowest(scores, 4, kept);
  EXPECT_EQ(std::vector<int>(kept, kept + 6), (std::vector<int>{1, 0, 1, 0, 0, 0}));
  drop_lowest(scores, 0, kept);
  EXPECT_EQ(std::vector<int>(kept, kept + 6), (std::vector<int>{1, 1, 1, 1, 1, 1}));
  drop_lowest(scores, 6, kept);
  EXPECT_EQ(std::vector<int>(kept, kept + 6), (std::vector<int>{0, 0, 0, 0, 0, 0}));
}

TEST(DropByPattern, LeavesNOfM) {
  const std::vector<float> scores{4, 1, 2, 3, 5, 5, 5, 5, 9, 8, 7};
  std::uint8_t kept[11];
  drop_by_pattern({.keep = 2, .of = 4}, scores, kept);  // of the last three one goes
  EXPECT_EQ(std::vector<int>(kept, kept + 11), (std::vector<int>{1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0}));
}

TEST(Pruning, CountsAreWhatWasPromised) {
  const auto x = correlated_inputs(300, kCols, 1), w = normals(kRows * kCols, 2);
  for (const char* name : {"magnitude", "wanda", "sparsegpt", "alps", "ria", "dsnot"})
    for (const Strings& options : {Strings{"sparsity=0"}, Strings{"sparsity=33"}, Strings{"sparsity=50", "scope=row"},
                                   Strings{"sparsity=70.7", "scope=matrix"}, Strings{"pattern=2:4"},
                                   Strings{"pattern=3:5"}, Strings{"pattern=1:32"}}) {
      const Method& m = method_or_throw(name);
      const auto got = pruned(name, w, x, options);
      EXPECT_EQ(kRows * kCols - zeros(got), m.kept(kRows, kCols, Options(m.name, m.options, options)))
          << name << " " << options.back();
      if (options[0] == "sparsity=0" && std::string(name) == "alps") {  // it solves for what it has
        EXPECT_LT(damage(w, got, moments(x, kCols), kCols),
                  1e-6 * damage(w, std::vector<float>(w.size()), moments(x, kCols), kCols));
      } else if (options[0] == "sparsity=0") {
        EXPECT_EQ(got, w) << name;
      }
    }
  const Method& m = method_or_throw("wanda");
  EXPECT_EQ(m.kept(20, 64, Options(m.name, m.options, {"sparsity=50"})), 640);
  EXPECT_EQ(m.kept(20, 64, Options(m.name, m.options, {"sparsity=70"})), 20 * (64 - 45));  // 44.8 of each row
  EXPECT_EQ(m.kept(20, 64, Options(m.name, m.options, {"sparsity=70", "scope=matrix"})), 384);
  EXPECT_EQ(m.kept(20, 63, Options(m.name, m.options, {"pattern=2:4"})), 20 * (63 - 31));
}

TEST(Pruning, TiesAreDroppedToo) {
  const auto x = correlated_inputs(100, kCols, 1);
  const std::vector<float> w(kRows * kCols, 0.5f);
  EXPECT_EQ(zeros(pruned("magnitude", w, x, {"sparsity=37", "scope=matrix"})), 474);  // 473.6
  EXPECT_EQ(zeros(pruned("magnitude", w, x, {"sparsity=50", "scope=row"})), 640);
}

TEST(Pruning, PatternsHoldInEveryGroup) {
  const auto x = correlated_inputs(300, kCols, 3), w = normals(kRows * kCols, 4);
  for (const char* name : {"magnitude", "wanda", "sparsegpt", "alps", "ria", "dsnot"}) {
    const auto got = pruned(name, w, x, {"pattern=2:4"});
    for (std::size_t i = 0; i < got.size(); i += 4) EXPECT_EQ(zeros(std::span(got).subspan(i, 4)), 2) << name << i;
  }
}

TEST(Pruning, RefusesWhatIsNoPattern) {
  const Method& m = method_or_throw("wanda");
  for (const char* text : {"pattern=4:2", "pattern=0:4", "pattern=2", "pattern=2:4x", "pattern=-1:4", "pattern=4:4"})
    EXPECT_THROW(Options(m.name, m.options, {text}), Error) << text;
}

TEST(Wanda, WithEqualInputsIsMagnitudeInRows) {
  std::vector<float> identity(kCols * kCols);
  for (dim i = 0; i < kCols; ++i) identity[std::size_t(i * kCols + i)] = 1;
  const auto w = normals(kRows * kCols, 5);
  EXPECT_EQ(pruned("wanda", w, identity, {}), pruned("magnitude", w, identity, {"scope=row"}));
}

// Powers of two, so that products are exact.
TEST(Wanda, ScalesOfInputsMoveNothing) {
  auto x = correlated_inputs(200, kCols, 6);
  auto w = normals(kRows * kCols, 7);
  const auto before = pruned("wanda", w, x, {});
  const auto factor = [](dim c) { return float(1 << (c % 7)); };
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= factor(dim(i) % kCols);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] /= factor(dim(i) % kCols);
  const auto after = pruned("wanda", w, x, {});
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_EQ(after[i] * factor(dim(i) % kCols), before[i]) << i;
}

TEST(SparseGpt, LiesBetweenLeastSquaresAndTheMaskAlone) {
  const auto x = correlated_inputs(400, kCols, 8), w = normals(kRows * kCols, 9);
  const auto h = damped(x, kCols);
  for (const Strings& options : {Strings{}, Strings{"pattern=2:4"}, Strings{"scope=row", "sparsity=70"}}) {
    const auto got = pruned("sparsegpt", w, x, options);
    const auto best = least_squares(w, got, h, kCols);
    std::vector<float> mask_only = w;
    for (std::size_t i = 0; i < w.size(); ++i)
      if (got[i] == 0) mask_only[i] = 0;
    Strings polished = options;
    polished.push_back("polish=100");
    const double least = damage(w, best, h, kCols), own = damage(w, got, h, kCols),
                 plain = damage(w, mask_only, h, kCols),
                 descended = damage(w, pruned("sparsegpt", w, x, polished), h, kCols);
    EXPECT_LT(least, own);
    EXPECT_LT(own, 0.8 * plain);
    EXPECT_GE(descended, least * 0.9999);  // f32 of the one, double of the other
    EXPECT_LE(descended, own);
    EXPECT_LT(descended - least, 0.1 * (own - least));
  }
}

// Its choice is better than what one pass over the columns finds, and what stays is solved for.
TEST(Alps, FindsABetterChoiceAndSolvesIt) {
  const auto x = correlated_inputs(400, kCols, 8), w = normals(kRows * kCols, 9);
  const auto h = damped(x, kCols);
  for (const Strings& options : {Strings{"sparsity=50"}, Strings{"pattern=2:4"}, Strings{"scope=row", "sparsity=70"}}) {
    const auto got = pruned("alps", w, x, options), one_pass = pruned("sparsegpt", w, x, options);
    const double own = damage(w, got, h, kCols);
    EXPECT_LT(own, damage(w, least_squares(w, one_pass, h, kCols), h, kCols)) << options[0];
    EXPECT_LT(own, 1.0001 * damage(w, least_squares(w, got, h, kCols), h, kCols)) << options[0];
    Strings unsolved = options;
    unsolved.push_back("steps=0");
    EXPECT_LT(own, damage(w, pruned("alps", w, x, unsolved), h, kCols)) << options[0];
  }
}

TEST(Pruning, EachMethodBeatsThePlainerOne) {
  auto x = correlated_inputs(400, kCols, 10);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= 1.0f + 3.0f * float(dim(i) % kCols % 5 == 0);
  const auto w = normals(kRows * kCols, 11);
  const auto h = moments(x, kCols);
  const double magnitude = damage(w, pruned("magnitude", w, x, {"scope=row"}), h, kCols),
               wanda = damage(w, pruned("wanda", w, x, {}), h, kCols),
               sparsegpt = damage(w, pruned("sparsegpt", w, x, {"scope=row"}), h, kCols);
  EXPECT_LT(wanda, magnitude);
  EXPECT_LT(sparsegpt, wanda);
}

TEST(SparseGpt, RoundsInTheSamePass) {
  const auto x = correlated_inputs(400, kCols, 12), w = normals(kRows * kCols, 13);
  const auto h = moments(x, kCols);
  for (const char* format : {"int4_g32_sym", "int4_row_sym", "q4_0", "bf16"})
    for (const char* pattern : {"pattern=none", "pattern=2:4"}) {
      const auto joint = pruned("sparsegpt", w, x, {pattern, "polish=2"}, format);
      EXPECT_GE(zeros(joint), kRows * kCols / 2) << format;  // small values may round to 0, too
      const auto after = pruned("rtn", pruned("sparsegpt", w, x, {pattern}), x, {}, format);
      if (std::string(format) != "bf16") {
        EXPECT_LT(damage(w, joint, h, kCols), damage(w, after, h, kCols)) << format;
      }
    }
}

TEST(Gptq, KeepsWhatWasPruned) {
  const auto x = correlated_inputs(400, kCols, 14), w = normals(kRows * kCols, 15);
  const auto sparse = pruned("wanda", w, x, {"pattern=2:4"});
  for (const char* format : {"int4_g32_sym", "q8_0"})
    for (const char* order : {"act_order=true", "act_order=false"}) {
      const auto got = pruned("gptq", sparse, x, {order, "polish=2"}, format);
      for (std::size_t i = 0; i < got.size(); ++i)
        if (sparse[i] == 0) {
          ASSERT_EQ(got[i], 0.0f) << format << " " << i;
        }
      EXPECT_LT(damage(sparse, got, moments(x, kCols), kCols),
                damage(sparse, pruned("rtn", sparse, x, {}, format), moments(x, kCols), kCols));
    }
}

TEST(Dsnot, KeepsTheCountOfRowsAndShrinksTheShiftOfTheMean) {
  auto x = correlated_inputs(300, kCols, 16);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += 0.5f * float(dim(i) % kCols % 3);
  const auto w = normals(kRows * kCols, 17);
  std::vector<double> mean(kCols);
  for (std::size_t i = 0; i < x.size(); ++i) mean[i % kCols] += double(x[i]) / 300;
  const auto shift = [&](const std::vector<float>& got, dim r) {
    double sum = 0;
    for (dim c = 0; c < kCols; ++c)
      sum += (double(w[std::size_t(r * kCols + c)]) - double(got[std::size_t(r * kCols + c)])) * mean[std::size_t(c)];
    return std::fabs(sum);
  };
  const auto before = pruned("wanda", w, x, {}), after = pruned("dsnot", w, x, {});
  double all_before = 0, all_after = 0;
  for (dim r = 0; r < kRows; ++r) {
    EXPECT_EQ(zeros(row_of(after, r)), kCols / 2);
    EXPECT_LE(shift(after, r), shift(before, r) + 1e-9);
    all_before += shift(before, r);
    all_after += shift(after, r);
  }
  EXPECT_LT(all_after, 0.5 * all_before);
  EXPECT_EQ(pruned("dsnot", w, x, {"rounds=0"}), before);
}

// Two rows, two columns: shares of the row 1/4 and 3/4, 2/4 and 2/4; of the column 1/3 and 3/5, 2/3 and 2/5.
TEST(Ria, AddsTheSharesOfRowAndColumn) {
  const std::vector<float> w{1, 3, 2, 2}, x{1, 1, 1, 1};
  const auto got = pruned("ria", w, x, {"sparsity=50"}, "f32", 2);
  EXPECT_EQ(got, (std::vector<float>{0, 3, 2, 0}));  // 0.58, 1.35, 1.17, 0.90
}

TEST(HasExactZero, IsWhatSymmetricGridsHave) {
  for (const char* name : {"int4_g128_sym", "int8_row_sym", "q8_0", "q4_0", "bf16", "q6_k", "int4_g128"})
    EXPECT_TRUE(has_exact_zero(format_or_throw(name))) << name;
  for (const char* name : {"q4_k", "iq2_xs", "q1_0", "e8p"})
    EXPECT_FALSE(has_exact_zero(format_or_throw(name))) << name;
}

}  // namespace pith::test
