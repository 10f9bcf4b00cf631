// One solver under all low-rank methods: what it says it loses is what is lost, and it is the least.
#include "compress/lowrank/lplr.h"
#include "compress/lowrank/ranks.h"
#include "compress/lowrank/weighted_low_rank.h"
#include "tests/compress/feedback_support.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

using Values = std::vector<float>;

Values product_of(const LowRank& low, dim rows, dim cols) {
  Values out(std::size_t(rows * cols));
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < cols; ++c) {
      double sum = 0;
      for (dim k = 0; k < low.rank; ++k)
        sum += double(low.b[std::size_t(r * low.rank + k)]) * double(low.a[std::size_t(k * cols + c)]);
      out[std::size_t(r * cols + c)] = float(sum);
    }
  return out;
}

// || D (w - q) R ||^2, by plain code.
double lost(const Values& w, const Values& q, const std::vector<double>& d, const std::vector<double>& r, dim cols) {
  double sum = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double e = (double(w[i]) - double(q[i])) * (d.empty() ? 1 : d[i / std::size_t(cols)]) *
                     (r.empty() ? 1 : r[i % std::size_t(cols)]);
    sum += e * e;
  }
  return sum;
}

std::vector<double> positive(dim n, std::uint64_t seed) {
  std::vector<double> out;
  for (const float v : normals(n, seed)) out.push_back(0.1 + double(v) * double(v));
  return out;
}

constexpr std::pair<dim, dim> kShapes[] = {{24, 40}, {40, 24}};

}  // namespace

// Eckart and Young: the tail of the singular values, under any weights of rows and columns.
TEST(LowRankSolver, LosesTheTailOfTheSingularValues) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 1);
    const std::vector<double> d = positive(rows, 2), r = positive(cols, 3);
    for (const int weighed : {0, 1, 2, 3}) {
      const std::vector<double> by_row = weighed & 1 ? d : std::vector<double>(),
                                by_col = weighed & 2 ? r : std::vector<double>();
      const WeightedSvd svd(w.data(), rows, cols, {.rows = by_row, .cols = by_col});
      EXPECT_NEAR(svd.tail(0), lost(w, Values(w.size()), by_row, by_col, cols), 1e-9 * svd.tail(0));
      for (const dim rank : {1, 5, 20}) {
        const double now = lost(w, product_of(svd.factors(rank), rows, cols), by_row, by_col, cols);
        EXPECT_NEAR(now, svd.tail(rank), 1e-5 * svd.tail(0)) << rank;  // the factors are float32
      }
      EXPECT_LT(lost(w, product_of(svd.factors(24), rows, cols), by_row, by_col, cols), 1e-9 * svd.tail(0));
    }
  }
}

// Few directions of a large matrix come from random projections: as good as the exact ones, and said as truly.
TEST(LowRankSolver, ProjectionsFindWhatAllValuesShow) {
  for (const auto& [rows, cols] : {std::pair<dim, dim>{300, 420}, {420, 300}}) {
    Values w = normals(rows * cols, 11);  // flat, the hard case; on it eight waves of falling size
    for (int k = 0; k < 8; ++k)
      for (dim i = 0; i < rows * cols; ++i)
        w[std::size_t(i)] += 2.0f / float(k + 1) * std::sin(0.1f * float(k + 1) * float(i / cols)) *
                             std::cos(0.07f * float(k + 1) * float(i % cols));
    const std::vector<double> d = positive(rows, 2), r = positive(cols, 3);
    const Weighing weighing = {.rows = d, .cols = r};
    const WeightedSvd all(w.data(), rows, cols, weighing), some(w.data(), rows, cols, weighing, 12);
    ASSERT_EQ(some.values().size(), 12u);
    EXPECT_NEAR(some.tail(0), all.tail(0), 1e-9 * all.tail(0));
    for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(some.values()[k], all.values()[k], 1e-3 * all.values()[k]) << k;
    for (const dim rank : {4, 12}) {
      const double now = lost(w, product_of(some.factors(rank), rows, cols), d, r, cols);
      EXPECT_NEAR(now, some.tail(rank), 1e-5 * all.tail(0));
      EXPECT_LT(now, all.tail(rank) + 2e-3 * all.tail(0));
    }
  }
}

TEST(LowRankSolver, EqualWeightsChangeNothing) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 4);
    const Values plain = product_of(WeightedSvd(w.data(), rows, cols, {}).factors(6), rows, cols);
    const Weighing equal = {.rows = std::vector<double>(std::size_t(rows), 3.0),
                            .cols = std::vector<double>(std::size_t(cols), 0.5)};
    const Values same = product_of(WeightedSvd(w.data(), rows, cols, equal).factors(6), rows, cols);
    for (std::size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(plain[i], same[i], 2e-5f) << i;
  }
}

// SVD-LLM as its paper writes it: W S truncated, times S^-1, with S S^T = H by Cholesky, equals U U^T W.
TEST(LowRankSolver, EqualsTruncationAfterWhitening) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 5), x = correlated_inputs(400, cols, 6);
    const std::vector<double> h = moments(x, cols);
    const SecondMoment moment = moment_of(x, cols);
    const auto n = std::size_t(cols);
    std::vector<double> s(n * n);  // lower triangular
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = h[i * n + j];
        for (std::size_t k = 0; k < j; ++k) sum -= s[i * n + k] * s[j * n + k];
        s[i * n + j] = i == j ? std::sqrt(sum) : sum / s[j * n + j];
      }
    Values ws(w.size());
    for (std::size_t r = 0; r < std::size_t(rows); ++r)
      for (std::size_t c = 0; c < n; ++c) {
        double sum = 0;
        for (std::size_t k = c; k < n; ++k) sum += double(w[r * n + k]) * s[k * n + c];
        ws[r * n + c] = float(sum);
      }
    const dim rank = 7;
    const Values truncated = product_of(WeightedSvd(ws.data(), rows, cols, {}).factors(rank), rows, cols);
    const Values direct = product_of(
        WeightedSvd(w.data(), rows, cols, {.rows = {}, .cols = {}, .moment = &moment}).factors(rank), rows, cols);
    for (std::size_t r = 0; r < std::size_t(rows); ++r) {  // y S = truncated, from the last column back
      std::vector<double> y(n);
      for (std::size_t c = n; c-- > 0;) {
        double sum = double(truncated[r * n + c]);
        for (std::size_t k = c + 1; k < n; ++k) sum -= y[k] * s[k * n + c];
        y[c] = sum / s[c * n + c];
        // Float32 factors, whose errors S^-1 widens.
        ASSERT_NEAR(y[c], double(direct[r * n + c]), 2e-3) << r << " " << c;
      }
    }
  }
}

TEST(LowRankSolver, InputsMomentsLoseLeastOfTheOutputs) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 7), x = correlated_inputs(400, cols, 8);
    const std::vector<double> h = moments(x, cols);
    const SecondMoment moment = moment_of(x, cols);
    std::vector<double> size(static_cast<std::size_t>(cols));
    for (std::size_t i = 0; i < x.size(); ++i) size[i % size.size()] += std::fabs(double(x[i])) / 400;
    for (const dim rank : {3, 10}) {
      const LowRank whitened =
          WeightedSvd(w.data(), rows, cols, {.rows = {}, .cols = {}, .moment = &moment}).factors(rank);
      const double least = damage(w, product_of(whitened, rows, cols), h, cols);
      EXPECT_NEAR(whitened.after, least, 1e-3 * whitened.before);
      EXPECT_NEAR(pith::damage(w.data(), rows, cols, moment, whitened), least, 1e-3 * whitened.before);
      for (const Weighing& other :
           {Weighing{}, Weighing{.rows = {}, .cols = size}, Weighing{.rows = positive(rows, 9)}}) {
        LowRank low = WeightedSvd(w.data(), rows, cols, other).factors(rank);
        const double before = damage(w, product_of(low, rows, cols), h, cols);
        EXPECT_GT(before, 1.01 * least);
        refit(w.data(), rows, cols, moment, low);
        const double after = damage(w, product_of(low, rows, cols), h, cols);
        EXPECT_LT(after, before);
        EXPECT_GT(after, 0.999 * least);
      }
      LowRank same = whitened;
      refit(w.data(), rows, cols, moment, same);
      EXPECT_NEAR(damage(w, product_of(same, rows, cols), h, cols), least, 1e-3 * least);
    }
  }
}

// LoRD: around their mean, outputs lose the tail of the eigenvalues of their covariance.
TEST(LowRankSolver, AroundTheMeanItIsTheTailOfTheCovariance) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 13);
    Values x = correlated_inputs(400, cols, 14);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += float(i % std::size_t(cols)) * 0.1f;
    std::vector<double> mean(static_cast<std::size_t>(cols));
    for (std::size_t i = 0; i < x.size(); ++i) mean[i % mean.size()] += double(x[i]) / 400;
    Values around = x;
    for (std::size_t i = 0; i < x.size(); ++i) around[i] -= float(mean[i % mean.size()]);
    const SecondMoment moment = moment_of(x, cols);
    const WeightedSvd svd(w.data(), rows, cols, {.rows = {}, .cols = {}, .moment = &moment, .mean = mean});
    for (const dim rank : {3, 10})
      EXPECT_NEAR(damage(w, product_of(svd.factors(rank), rows, cols), moments(around, cols), cols), svd.tail(rank),
                  2e-3 * svd.tail(0));
  }
}

// Inputs that never leave a plane: nothing outside it is kept, and nothing is lost.
TEST(LowRankSolver, InputsOfLowRankNeedNoMore) {
  for (const auto& [rows, cols] : kShapes) {
    const Values w = normals(rows * cols, 10), two = normals(2 * cols, 11), mix = normals(2 * 300, 12);
    Values x(std::size_t(300 * cols));
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t k = 0; k < 2; ++k)
        x[i] += mix[i / std::size_t(cols) * 2 + k] * two[k * std::size_t(cols) + i % std::size_t(cols)];
    const SecondMoment moment = moment_of(x, cols);
    const LowRank low = WeightedSvd(w.data(), rows, cols, {.rows = {}, .cols = {}, .moment = &moment}).factors(2);
    EXPECT_LT(damage(w, product_of(low, rows, cols), moments(x, cols), cols), 1e-6 * low.before);
  }
}

// Halko, Martinsson and Tropp: with k of 4 directions more than matter, a sketch loses little more than the best does.
TEST(Lplr, SketchesLoseLittleMoreThanTheTail) {
  for (const auto& [rows, cols] : kShapes) {
    Values w(std::size_t(rows * cols));
    const Values left = normals(rows * 8, 15), right = normals(8 * cols, 16), rest = normals(rows * cols, 17);
    for (std::size_t i = 0; i < w.size(); ++i) {
      w[i] = 0.01f * rest[i];
      for (std::size_t k = 0; k < 8; ++k)
        w[i] += left[i / std::size_t(cols) * 8 + k] * right[k * std::size_t(cols) + i % std::size_t(cols)];
    }
    const LowRank exact = low_precision_factors(w.data(), rows, cols, 12, nullptr, f32_format(), 1);
    const double tail = WeightedSvd(w.data(), rows, cols, {}).tail(8);
    const double now = lost(w, product_of(exact, rows, cols), {}, {}, cols);
    EXPECT_LT(now, (1 + 8.0 / 3) * tail);  // the bound of the mean with 4 more than 8: 1 + 8 / (4 - 1)
    double last = now;
    for (const char* format : {"int8_row_sym", "int4_row_sym"}) {
      const LowRank low = low_precision_factors(w.data(), rows, cols, 12, nullptr, format_or_throw(format), 1);
      const double coarser = lost(w, product_of(low, rows, cols), {}, {}, cols);
      EXPECT_GT(coarser, last) << format;
      last = coarser;
      // The second factor makes up for the first: rounding both apart loses more.
      LowRank apart = exact;
      for (auto* values : {&apart.b, &apart.a}) {
        const dim width = values == &apart.b ? 12 : cols;
        const Format& f = format_or_throw(format);
        std::vector<std::byte> codes(std::size_t(row_bytes(f, width)));
        for (dim r = 0; r < dim(values->size()) / width; ++r) {
          f.encode(f, values->data() + r * width, nullptr, width, RangeSearch{}, codes.data());
          f.decode(f, codes.data(), width, values->data() + r * width);
        }
      }
      EXPECT_LT(coarser, lost(w, product_of(apart, rows, cols), {}, {}, cols)) << format;
    }
  }
}

TEST(Ranks, UniformOnesAreMultiplesAndPay) {
  // 0.8 * 576 * 576 / 1152 = 230.4; 0.8 * 192 * 576 / 768 = 115.2; 0.8 * 1536 * 576 / 2112 = 335.1
  const RankItem items[] = {{576, 576, {}}, {192, 576, {}}, {1536, 576, {}}, {64, 32, {}}};
  EXPECT_EQ(uniform_ranks(items, 0.2, 32), (std::vector<dim>{224, 128, 320, 0}));  // 32 of (64, 32) would be all
  EXPECT_EQ(uniform_ranks(items, 0.2, 1), (std::vector<dim>{230, 115, 335, 17}));
  EXPECT_EQ(uniform_ranks(items, 0.0, 1), (std::vector<dim>{0, 0, 0, 0}));
  EXPECT_EQ(break_even_rank(576, 576), 288);
  EXPECT_EQ(break_even_rank(3, 4), 2);  // 12 / 7, rounded up
}

TEST(Ranks, OneThresholdGivesMoreToWhatHasMore) {
  std::vector<double> steep(100), flat(100);
  for (std::size_t k = 0; k < 100; ++k) {
    steep[k] = std::pow(0.8, double(k));
    flat[k] = 0.1 * std::pow(0.999, double(k));
  }
  const RankItem items[] = {{100, 100, steep}, {100, 100, flat}};
  const std::vector<dim> ranks = threshold_ranks(items, 0.4, 1);
  EXPECT_GT(ranks[0], 0);
  EXPECT_LT(ranks[0], 25);  // 0.8^k falls below 0.1 at k = 11
  EXPECT_GT(ranks[1], 25);  // all of it lies near the threshold: what is left of the budget
  EXPECT_LE(values_at_rank(items[0], ranks[0]) + values_at_rank(items[1], ranks[1]), 12000);
  // Weighed down, it is the flat one that gives.
  const RankItem weighed[] = {{100, 100, steep, 1e9}, {100, 100, flat, 1e-9}};
  const std::vector<dim> other = threshold_ranks(weighed, 0.4, 1);
  EXPECT_GE(other[0] == 0 ? 100 : other[0], 40);
}

}  // namespace pith::test
