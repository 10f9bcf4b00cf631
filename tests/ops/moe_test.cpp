#include "ops/moe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/parallel.h"
#include "ops/heads.h"

namespace pith {

namespace {

std::vector<dim> list(std::span<const dim> values) { return {values.begin(), values.end()}; }

}  // namespace

// Rows: softmax of (ln 1, ln 2, ln 3, ln 4) is (0.1, 0.2, 0.3, 0.4), and of its reverse likewise.
TEST(Moe, RoutesToTheLargest) {
  const float a = std::log(1.0f), b = std::log(2.0f), c = std::log(3.0f), d = std::log(4.0f);
  std::vector<float> logits = {a, b, c, d, d, c, b, a, a, d, b, c};
  Routing plain, normalized;
  auto copy = logits;
  route(copy.data(), 3, 4, 2, false, plain);
  EXPECT_EQ(plain.first, (std::vector<dim>{0, 1, 3, 4, 6}));  // expert 3 sees rows 0 and 2
  EXPECT_EQ(list(plain.rows_of(0)), (std::vector<dim>{1}));
  EXPECT_EQ(list(plain.rows_of(1)), (std::vector<dim>{1, 2}));
  EXPECT_EQ(list(plain.rows_of(2)), (std::vector<dim>{0}));
  EXPECT_EQ(list(plain.rows_of(3)), (std::vector<dim>{0, 2}));
  EXPECT_NEAR(plain.weights_of(0)[0], 0.4, 1e-6);
  EXPECT_NEAR(plain.weights_of(1)[0], 0.3, 1e-6);
  EXPECT_NEAR(plain.weights_of(1)[1], 0.4, 1e-6);
  EXPECT_NEAR(plain.weights_of(3)[1], 0.3, 1e-6);
  route(logits.data(), 3, 4, 2, true, normalized);
  EXPECT_NEAR(normalized.weights_of(0)[0], 4.0 / 7, 1e-6);
  EXPECT_NEAR(normalized.weights_of(1)[0], 3.0 / 7, 1e-6);
  EXPECT_EQ(normalized.row, plain.row);
}

TEST(Moe, TheLowerNumberWinsAmongEquals) {
  std::vector<float> logits = {1, 2, 2, 2, 0};
  Routing out;
  route(logits.data(), 1, 5, 2, true, out);
  EXPECT_EQ(out.first, (std::vector<dim>{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(out.weight, (std::vector<float>{0.5f, 0.5f}));
}

TEST(Moe, GathersAndAddsBack) {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<dim> rows = {2, 0};
  std::vector<float> picked(4), out = {10, 10, 20, 20, 30, 30};
  gather_rows(x.data(), rows, 2, picked.data());
  EXPECT_EQ(picked, (std::vector<float>{5, 6, 1, 2}));
  add_weighted_rows(picked.data(), rows, std::vector<float>{2, 0.5f}, 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{10.5f, 11, 20, 20, 40, 42}));
}

TEST(Moe, OneExpertForAll) {
  Routing out;
  out.all(3);
  EXPECT_EQ(list(out.rows_of(0)), (std::vector<dim>{0, 1, 2}));
  EXPECT_EQ(out.weight, (std::vector<float>{1, 1, 1}));
  EXPECT_FLOAT_EQ(sigmoid(0), 0.5f);
  EXPECT_FLOAT_EQ(sigmoid(std::log(3.0f)), 0.75f);
}

TEST(Moe, SameForAnyNumberOfThreads) {
  std::vector<float> logits(500 * 16);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = float(std::sin(double(i * i % 1009)));
  const int threads = num_threads();
  Routing one, four;
  set_num_threads(1);
  auto copy = logits;
  route(copy.data(), 500, 16, 4, true, one);
  set_num_threads(4);
  route(logits.data(), 500, 16, 4, true, four);
  set_num_threads(threads);
  EXPECT_EQ(one.first, four.first);
  EXPECT_EQ(one.row, four.row);
  EXPECT_EQ(one.weight, four.weight);
}

// Two key-value heads, each with two queries of width 2.
TEST(Heads, StackedByKind) {
  const std::vector<float> one = {0, 1, 2, 3, 20, 21, 30, 31, 4, 5, 6, 7, 22, 23, 32, 33};
  const std::vector<float> stacked = {0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 30, 31, 32, 33};
  std::vector<float> rows = one;
  rows.insert(rows.end(), one.begin(), one.end());
  Buffer scratch;
  stack_qkv({rows.data(), 2, 2, 2, 2}, scratch);
  EXPECT_EQ(std::vector<float>(rows.begin(), rows.begin() + 16), stacked);
  EXPECT_EQ(std::vector<float>(rows.begin() + 16, rows.end()), stacked);
}

}  // namespace pith
