// Attention over encoded keys and values against its definition, however a sequence is cut into runs.
#include "ops/kv/kv_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "ops/kv/half_bytes.h"

namespace pith {
namespace {

constexpr dim kHeads = 4, kKvHeads = 2, kHeadDim = 24, kWidth = kKvHeads * kHeadDim, kCapacity = 330;

std::vector<float> normals(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = float(rng.normal());
  return x;
}

AttentionShape shape_of(dim window) {
  return {.heads = kHeads,
          .kv_heads = kKvHeads,
          .head_dim = kHeadDim,
          .capacity = kCapacity,
          .q_stride = kHeads * kHeadDim,
          .scale = float(1 / std::sqrt(double(kHeadDim))),
          .window = window};
}

// One sequence and layer: runs are appended, attended and kept as the forward pass does.
struct Sequence {
  KvLayout keys, values;
  Buffer key_data, value_data, scratch;
  KvAttention attention;

  explicit Sequence(const KvPlan& plan)
      : keys(plan.keys, kKvHeads, kCapacity),
        values(plan.values, kKvHeads, kCapacity),
        key_data(keys.area_bytes()),
        value_data(values.area_bytes()) {}
  KvArea key_area() { return {key_data.data()}; }
  KvArea value_area() { return {value_data.data()}; }

  // k, v, q: of position 0 on; adds positions [first, first + count). The outputs, (count, heads * head_dim).
  std::vector<float> add(dim first, dim count, const std::vector<float>& k, const std::vector<float>& v,
                         const std::vector<float>& q, dim window) {
    const KvRows key_rows = {k.data() + first * kWidth, kWidth, first, count};
    const KvRows value_rows = {v.data() + first * kWidth, kWidth, first, count};
    keys.append(key_area(), key_rows, scratch);
    values.append(value_area(), value_rows, scratch);
    const KvQueryRun run = {key_area(), value_area(), key_rows, value_rows, first, count, 0};
    std::vector<float> out(std::size_t(count * kHeads * kHeadDim));
    attention.run({.shape = shape_of(window), .keys = &keys, .values = &values}, {&run, 1},
                  q.data() + first * kHeads * kHeadDim, out.data());
    keys.keep_newest(key_area(), key_rows);
    values.keep_newest(value_area(), value_rows);
    return out;
  }
};

// What the blocks of one side say of all complete ones; others stay NaN, and nobody may read them.
std::vector<float> decoded(const KvSide& s, const std::vector<float>& x, dim length) {
  std::vector<float> out(x.size(), NAN), in(std::size_t(s.tokens * s.head_dim)), back(in.size()),
      scratch(std::size_t(2 * s.head_dim));
  std::vector<std::byte> block(std::size_t(s.block_bytes));
  for (dim b = 0; b < length / s.tokens; ++b)
    for (dim h = 0; h < kKvHeads; ++h) {
      const auto row = [&](dim t) { return (b * s.tokens + t) * kWidth + h * kHeadDim; };
      for (dim t = 0; t < s.tokens; ++t) std::copy_n(x.begin() + row(t), kHeadDim, in.begin() + t * kHeadDim);
      s.encode(s, in.data(), block.data());
      s.decode(s, block.data(), back.data(), scratch.data());
      for (dim t = 0; t < s.tokens; ++t)
        if (b * s.tokens + t >= s.first) std::copy_n(back.begin() + t * kHeadDim, kHeadDim, out.begin() + row(t));
    }
  for (dim i = 0; i < s.first * kWidth; ++i) out[std::size_t(i)] = x[std::size_t(i)];
  return out;
}

struct Sides {
  const std::vector<float>&exact, &coded;
  const KvSide& side;
  dim lost_below = 0;  // exact ones that were let go before a truncation
  double at(dim query, dim position, dim kv_head, dim d) const {
    const std::size_t place = std::size_t(position * kWidth + kv_head * kHeadDim + d);
    if (position < side.exact_from(query)) return double(coded[place]);
    return double(position < lost_below ? to_finite_half(coded[place]) : exact[place]);
  }
};

void expect_definition(const Sides& k, const Sides& v, const std::vector<float>& q, dim window, dim first,
                       const std::vector<float>& out) {
  const dim count = dim(out.size()) / (kHeads * kHeadDim);
  for (dim p = first; p < first + count; ++p)
    for (dim h = 0; h < kHeads; ++h) {
      const dim kv = h / (kHeads / kKvHeads), begin = window > 0 ? std::max<dim>(0, p - window + 1) : 0;
      std::vector<double> mix(std::size_t(kHeadDim), 0.0);
      double sum = 0;
      for (dim j = begin; j <= p; ++j) {
        double score = 0;
        for (dim d = 0; d < kHeadDim; ++d)
          score += double(q[std::size_t((p * kHeads + h) * kHeadDim + d)]) * k.at(p, j, kv, d);
        const double weight = std::exp(score / std::sqrt(double(kHeadDim)));
        sum += weight;
        for (dim d = 0; d < kHeadDim; ++d) mix[std::size_t(d)] += weight * v.at(p, j, kv, d);
      }
      for (dim d = 0; d < kHeadDim; ++d)
        ASSERT_NEAR(out[std::size_t(((p - first) * kHeads + h) * kHeadDim + d)], mix[std::size_t(d)] / sum, 5e-6)
            << "query " << p << ", head " << h;
    }
}

class KvAttentionTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, KvAttentionTest,
                         testing::Values("f16", "int8", "int4:group=32", "int4:bits=2,first=4", "kivi:residual=32",
                                         "kivi:bits=2,residual=128,first=1", "kivi:group=64,residual=64,bits=3",
                                         "kvquant:group=32,bits=2", "kvquant"));

TEST_P(KvAttentionTest, IsTheDefinitionHoweverRunsAreCut) {
  const KvPlan plan = KvSpec(GetParam()).plan(kHeadDim);
  const dim length = 300;
  auto k = normals(length * kWidth, 1), v = normals(length * kWidth, 2);
  const auto q = normals(length * kHeads * kHeadDim, 3);
  const Sequence rounding(plan);
  rounding.keys.round_kept(k.data(), dim(k.size()));
  rounding.values.round_kept(v.data(), dim(v.size()));
  const auto coded_k = decoded(plan.keys, k, length), coded_v = decoded(plan.values, v, length);
  for (const dim window : {0, 50})
    for (const std::vector<dim>& cuts : {std::vector<dim>{300}, {1}, {40, 1, 33, 2}, {129}}) {
      Sequence sequence(plan);
      dim first = 0;
      for (std::size_t i = 0; first < length; ++i) {
        const dim count = std::min(cuts[i % cuts.size()], length - first);
        const auto out = sequence.add(first, count, k, v, q, window);
        expect_definition({k, coded_k, plan.keys}, {v, coded_v, plan.values}, q, window, first, out);
        if (HasFatalFailure()) return;
        first += count;
      }
    }
}

// Of 100 positions 30 are forgotten. The ring had 68 ... 99: what lies below and would be exact is what the blocks say.
TEST(KvAttention, AfterForgettingTheLostAreDecoded) {
  const KvPlan plan = KvSpec("kivi:bits=2,residual=32").plan(kHeadDim);
  auto k = normals(100 * kWidth, 1), v = normals(100 * kWidth, 2);
  const auto q = normals(100 * kHeads * kHeadDim, 3);
  Sequence sequence(plan);
  sequence.keys.round_kept(k.data(), dim(k.size()));
  sequence.values.round_kept(v.data(), dim(v.size()));
  sequence.add(0, 100, k, v, q, 0);
  const auto coded_k = decoded(plan.keys, k, 100), coded_v = decoded(plan.values, v, 100);
  sequence.keys.forget(sequence.key_area(), 100, 90);  // twice, which is the same
  sequence.keys.forget(sequence.key_area(), 90, 70);
  sequence.values.forget(sequence.value_area(), 100, 70);
  auto new_k = k, new_v = v;
  const auto other = normals(20 * kWidth, 4);
  std::copy(other.begin(), other.end(), new_k.begin() + 70 * kWidth);
  std::copy(other.begin(), other.end(), new_v.begin() + 70 * kWidth);
  sequence.keys.round_kept(new_k.data(), dim(new_k.size()));
  sequence.values.round_kept(new_v.data(), dim(new_v.size()));
  const auto coded_new_v = decoded(plan.values, new_v, 90);
  std::vector<float> both_v = coded_v;
  std::copy(coded_new_v.begin() + 70 * kWidth, coded_new_v.begin() + 90 * kWidth, both_v.begin() + 70 * kWidth);
  for (const dim first : {70, 75}) {
    const dim count = first == 70 ? 5 : 15;
    const auto out = sequence.add(first, count, new_k, new_v, q, 0);
    expect_definition({new_k, coded_k, plan.keys, 68}, {new_v, both_v, plan.values, 68}, q, 0, first, out);
  }
}

TEST(KvAttention, KeysStoredBeforeTheirRotaryEmbeddingAreTurnedWhenRead) {
  KvPlan plain = KvSpec("kvquant:group=32").plan(kHeadDim);
  KvSide lossless;
  lossless.head_dim = kHeadDim;
  lossless.block_bytes = 4 * kHeadDim;
  lossless.encode = [](const KvSide&, const float* x, std::byte* out) { std::memcpy(out, x, 4 * kHeadDim); };
  lossless.decode = [](const KvSide&, const std::byte* in, float* out, float*) { std::memcpy(out, in, 4 * kHeadDim); };
  plain.keys = lossless;
  const dim length = 140;
  const auto k = normals(length * kWidth, 1), q = normals(length * kHeads * kHeadDim, 3);
  auto v = normals(length * kWidth, 2), turned = k;
  std::vector<dim> positions(static_cast<std::size_t>(length));
  for (dim p = 0; p < length; ++p) positions[std::size_t(p)] = p;
  RopeTable table;
  table.fill(rope_frequencies({.dims = kHeadDim}, length), 1, positions);
  for (dim p = 0; p < length; ++p) rope_row(turned.data() + p * kWidth, kKvHeads, kHeadDim, table, p, false);
  Sequence before(plain), after(plain);
  before.values.round_kept(v.data(), dim(v.size()));
  const auto expected = after.add(0, length, turned, v, q, 0);
  const KvRows key_rows = {k.data(), kWidth, 0, length}, value_rows = {v.data(), kWidth, 0, length};
  before.keys.append(before.key_area(), key_rows, before.scratch);
  before.values.append(before.value_area(), value_rows, before.scratch);
  const KvQueryRun run = {before.key_area(), before.value_area(), key_rows, value_rows, 0, length, 0};
  std::vector<float> out(expected.size());
  before.attention.run({.shape = shape_of(0), .keys = &before.keys, .values = &before.values, .key_rope = &table},
                       {&run, 1}, q.data(), out.data());
  EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace pith
