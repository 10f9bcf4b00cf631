#include "compress/quantize/error_feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/compress/feedback_support.h"

namespace pith::test {

namespace {

// GPTQ as its paper states it, in double, column by column with an explicit inverse that is reduced by one row and
// column after each: the specification. Ranges are fitted first, to the weights as they are.
std::vector<float> by_the_paper(const Format& f, const std::vector<float>& w, std::vector<double> h, dim n,
                                double damping) {
  double mean = 0;
  for (dim i = 0; i < n; ++i) mean += h[std::size_t(i * n + i)] / double(n);
  for (dim i = 0; i < n; ++i) h[std::size_t(i * n + i)] += damping * mean;
  std::vector<double> inverse(h.size());  // Gauss-Jordan
  for (dim i = 0; i < n; ++i) inverse[std::size_t(i * n + i)] = 1;
  for (dim p = 0; p < n; ++p) {
    const double pivot = h[std::size_t(p * n + p)];
    for (dim j = 0; j < n; ++j) h[std::size_t(p * n + j)] /= pivot, inverse[std::size_t(p * n + j)] /= pivot;
    for (dim i = 0; i < n; ++i) {
      if (i == p) continue;
      const double factor = h[std::size_t(i * n + p)];
      for (dim j = 0; j < n; ++j) {
        h[std::size_t(i * n + j)] -= factor * h[std::size_t(p * n + j)];
        inverse[std::size_t(i * n + j)] -= factor * inverse[std::size_t(p * n + j)];
      }
    }
  }
  std::vector<double> left(w.begin(), w.end());
  std::vector<float> out(w.size());
  const dim rows = dim(w.size()) / n;
  std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, n)));
  for (dim r = 0; r < rows; ++r)
    for (dim b = 0; b < n / f.block; ++b)
      f.fit(f, w.data() + r * n + b * f.block, nullptr, f.block, {RangeSearch::Kind::minmax, 2.4, 80},
            bytes.data() + r * row_bytes(f, n) + b * f.block_bytes);
  for (dim k = 0; k < n; ++k) {
    const double d = inverse[std::size_t(k * n + k)];
    for (dim r = 0; r < rows; ++r) {
      const std::size_t at = std::size_t(r * n + k);
      out[at] = f.put(f, bytes.data() + r * row_bytes(f, n) + k / f.block * f.block_bytes, f.block, k % f.block,
                      float(left[at]));
      const double error = (left[at] - double(out[at])) / d;
      for (dim j = k; j < n; ++j) left[std::size_t(r * n + j)] -= error * inverse[std::size_t(k * n + j)];
    }
    const std::vector<double> row(inverse.begin() + k * n, inverse.begin() + (k + 1) * n);
    for (dim i = k; i < n; ++i)
      for (dim j = k; j < n; ++j) inverse[std::size_t(i * n + j)] -= row[std::size_t(i)] * row[std::size_t(j)] / d;
  }
  return out;
}

std::vector<float> rounded(const Format& f, const std::vector<float>& w, const SecondMoment& moment, dim n,
                           const FeedbackOptions& options, int sweeps = 0,
                           RangeSearch search = {RangeSearch::Kind::minmax, 2.4, 80}) {
  const dim rows = dim(w.size()) / n;
  std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, n)));
  const auto feedback = make_feedback(moment, options);
  const LayerTask task{w.data(), rows, n, &f, nullptr, bytes.data(), feedback.get()};
  round_with_feedback(*feedback, task, search);
  polish(*feedback, task, sweeps);
  return decoded(f, bytes, rows, n);
}

}  // namespace

TEST(ErrorFeedback, IsGptqAsThePaperStatesIt) {
  const dim n = 32, rows = 7;  // one block, so ranges are fitted once in either order
  const Format& f = format_or_throw("q4_0");
  const auto x = correlated_inputs(400, n, 1), w = normals(rows * n, 9);
  const auto got = rounded(f, w, moment_of(x, n), n, {.damping = 0.01, .act_order = false});
  EXPECT_EQ(got, by_the_paper(f, w, moments(x, n), n, 0.01));
}

TEST(ErrorFeedback, LosesFarLessThanRoundingToNearest) {
  const dim n = 96, rows = 20;
  const auto x = correlated_inputs(2000, n, 3), w = normals(rows * n, 5);
  const auto h = moments(x, n);
  for (const char* name : {"q4_0", "q4_1", "iq4_nl", "int3_g32", "nf4_g32"}) {
    const Format* f = find_format(name);
    if (!f || !fits(*f, n)) continue;
    std::vector<std::byte> bytes(std::size_t(rows * row_bytes(*f, n)));
    for (dim r = 0; r < rows; ++r)
      f->encode(*f, w.data() + r * n, nullptr, n, {RangeSearch::Kind::minmax, 2.4, 80},
                bytes.data() + r * row_bytes(*f, n));
    const double nearest = damage(w, decoded(*f, bytes, rows, n), h, n);
    for (const bool act_order : {false, true}) {
      const double fed = damage(w, rounded(*f, w, moment_of(x, n), n, {.damping = 0.01, .act_order = act_order}), h, n);
      EXPECT_LT(fed, 0.5 * nearest) << name << ", act_order " << act_order;
    }
  }
}

// Formats whose values share codes take the feedback group by group.
TEST(ErrorFeedback, ReachesFormatsWithSharedCodes) {
  const dim n = 512, rows = 6;
  const auto x = correlated_inputs(3000, n, 41), w = normals(rows * n, 42);
  const auto h = moments(x, n);
  for (const char* name : {"iq2_xxs", "iq2_s", "iq3_xxs", "iq1_s"}) {
    const Format& f = format_or_throw(name);
    std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, n)));
    for (dim r = 0; r < rows; ++r) f.encode(f, w.data() + r * n, nullptr, n, {}, bytes.data() + r * row_bytes(f, n));
    const double nearest = damage(w, decoded(f, bytes, rows, n), h, n);
    const double fed = damage(w, rounded(f, w, moment_of(x, n), n, {.damping = 0.01, .act_order = false}, 0, {}), h, n);
    EXPECT_LT(fed, 0.6 * nearest) << name;
  }
}

// Inputs that have nothing to do with each other leave nothing to make up for.
TEST(ErrorFeedback, UncorrelatedInputsGiveRoundingToNearest) {
  const dim n = 64, rows = 5;
  std::vector<float> x(static_cast<std::size_t>(n * n));  // one unit vector after another
  for (dim i = 0; i < n; ++i) x[std::size_t(i * n + i)] = 2;
  const auto w = normals(rows * n, 11);
  const Format& f = format_or_throw("q4_0");
  std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, n)));
  for (dim r = 0; r < rows; ++r)
    f.encode(f, w.data() + r * n, nullptr, n, {RangeSearch::Kind::minmax, 2.4, 80}, bytes.data() + r * row_bytes(f, n));
  for (const bool act_order : {false, true})
    EXPECT_EQ(rounded(f, w, moment_of(x, n), n, {.damping = 0.01, .act_order = act_order}), decoded(f, bytes, rows, n));
}

TEST(ErrorFeedback, WeightsOnTheGridStay) {
  const dim n = 64, rows = 4;
  const Format& f = format_or_throw("q8_0");
  Rng rng(2);
  std::vector<float> w(static_cast<std::size_t>(rows * n));
  for (dim i = 0; i < rows * n; ++i) w[std::size_t(i)] = float(i % 32 == 0 ? 127 : rng.below(255) - 127) / 128;
  EXPECT_EQ(rounded(f, w, moment_of(correlated_inputs(300, n, 4), n), n, {}), w);
}

TEST(ErrorFeedback, PolishNeverRaisesTheDamage) {
  const dim n = 64, rows = 12;
  const auto x = correlated_inputs(1000, n, 21), w = normals(rows * n, 22);
  const auto h = moments(x, n);
  const Format& f = format_or_throw("q4_0");
  double last = 1e300;
  for (const int sweeps : {0, 1, 2, 8}) {
    const double now =
        damage(w, rounded(f, w, moment_of(x, n), n, {.damping = 1e-6, .act_order = false}, sweeps), h, n);
    EXPECT_LE(now, last * (1 + 1e-5)) << sweeps;
    last = now;
  }
}

TEST(ErrorFeedback, SingularInputsRaiseTheDampingAndStayFinite) {
  const dim n = 32;
  std::vector<float> x(static_cast<std::size_t>(n), 1.0f);  // one token, seen once
  const auto w = normals(3 * n, 31);
  for (const float v : rounded(format_or_throw("q4_0"), w, moment_of(x, n), n, {.damping = 0, .act_order = true}))
    ASSERT_TRUE(std::isfinite(v));
  std::vector<float> silent(static_cast<std::size_t>(n));  // inputs that are always zero
  for (const float v : rounded(format_or_throw("q4_0"), w, moment_of(silent, n), n, {})) ASSERT_TRUE(std::isfinite(v));
}

}  // namespace pith::test
