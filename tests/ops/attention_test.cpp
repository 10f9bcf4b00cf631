#include "ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/parallel.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::normals;

struct Case {
  const char* name;
  AttentionShape shape;
  std::vector<std::pair<dim, dim>> runs;  // first position and count
};

// One query's result, straight from the definition.
std::vector<double> reference(const AttentionShape& s, const float* keys, const float* values, const float* q, dim head,
                              dim position) {
  const dim kv = head / (s.heads / s.kv_heads), first = s.window > 0 ? std::max<dim>(0, position - s.window + 1) : 0;
  std::vector<double> p, out(std::size_t(s.head_dim), 0.0);
  double sum = 0;
  for (dim j = first; j <= position; ++j) {
    double score = 0;
    for (dim d = 0; d < s.head_dim; ++d)
      score += double(q[head * s.head_dim + d]) * double(keys[(kv * s.capacity + j) * s.head_dim + d]);
    score *= double(s.scale);
    if (s.softcap > 0) score = double(s.softcap) * std::tanh(score / double(s.softcap));
    p.push_back(std::exp(score));
    sum += p.back();
  }
  for (dim j = first; j <= position; ++j)
    for (dim d = 0; d < s.head_dim; ++d)
      out[std::size_t(d)] += p[std::size_t(j - first)] / sum * double(values[(kv * s.capacity + j) * s.head_dim + d]);
  return out;
}

class AttentionTest : public testing::TestWithParam<Case> {};

TEST_P(AttentionTest, EqualsTheDefinition) {
  AttentionShape s = GetParam().shape;
  s.capacity = 160;
  s.q_stride = s.heads * s.head_dim + 5;
  s.scale = float(1 / std::sqrt(double(s.head_dim)));
  const dim cache = s.kv_heads * s.capacity * s.head_dim, count = dim(GetParam().runs.size());
  const auto keys = normals(count * cache, 1), values = normals(count * cache, 2);
  std::vector<QueryRun> runs;
  dim rows = 0;
  for (const auto& [first, n] : GetParam().runs) {
    const dim at = dim(runs.size()) * cache;
    runs.push_back({keys.data() + at, values.data() + at, first, n, rows});
    rows += n;
  }
  const auto q = normals(rows * s.q_stride, 3);
  const auto attend = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    std::vector<float> out(std::size_t(rows * s.heads * s.head_dim));
    Attention().run(s, runs, q.data(), out.data());
    set_num_threads(before);
    return out;
  };
  const auto out = attend(2);
  for (const QueryRun& run : runs)
    for (dim i = 0; i < run.count; ++i)
      for (dim h = 0; h < s.heads; ++h) {
        const dim row = run.row + i;
        const auto expected =
            reference(s, run.keys, run.values, q.data() + row * s.q_stride, h, run.first_position + i);
        for (dim d = 0; d < s.head_dim; ++d)
          ASSERT_NEAR(out[std::size_t((row * s.heads + h) * s.head_dim + d)], expected[std::size_t(d)], 2e-6)
              << "row " << row << ", head " << h;
      }
  for (const int threads : {1, 7})
    EXPECT_EQ(std::memcmp(attend(threads).data(), out.data(), out.size() * sizeof(float)), 0) << threads;
}

INSTANTIATE_TEST_SUITE_P(
    All, AttentionTest,
    testing::Values(Case{"prefill", {.heads = 4, .kv_heads = 2, .head_dim = 16}, {{0, 50}}},
                    Case{"odd_head", {.heads = 3, .kv_heads = 1, .head_dim = 7}, {{0, 33}, {5, 18}}},
                    Case{"decode", {.heads = 9, .kv_heads = 3, .head_dim = 64}, {{99, 1}, {0, 1}, {150, 2}}},
                    Case{"window", {.heads = 2, .kv_heads = 2, .head_dim = 8, .window = 9}, {{0, 64}, {77, 1}}},
                    Case{"window_of_one", {.heads = 2, .kv_heads = 1, .head_dim = 8, .window = 1}, {{0, 20}}},
                    Case{"softcap", {.heads = 2, .kv_heads = 1, .head_dim = 8, .softcap = 0.5f}, {{3, 40}}},
                    Case{"continued", {.heads = 6, .kv_heads = 2, .head_dim = 12}, {{100, 60}, {7, 3}}}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(Attention, HugeScoresDoNotOverflow) {
  const AttentionShape s = {.heads = 1, .kv_heads = 1, .head_dim = 1, .capacity = 3, .q_stride = 1};
  const float keys[] = {1000, -1000, 999}, values[] = {1, 2, 3}, q[] = {1};
  float out[1];
  const QueryRun run = {keys, values, 2, 1, 0};
  Attention().run(s, {&run, 1}, q, out);
  EXPECT_NEAR(out[0], (1 + 3 * 0.36787944) / 1.36787944, 1e-5);
}

}  // namespace
}  // namespace pith
