#include "formats/sparse.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "core/rng.h"

namespace pith {
namespace {

std::vector<float> row_of(const Weight& w, dim row) {
  std::vector<float> out(std::size_t(weight_cols(w))), scratch(out.size());
  decode_weight_row(w, row, out.data(), scratch.data());
  return out;
}

std::vector<float> dense_of(const Weight& w) {
  std::vector<float> all;
  for (dim r = 0; r < weight_rows(w); ++r) {
    const auto row = row_of(w, r);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

std::vector<float> random_sparse(std::size_t n, double kept, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(n);
  for (float& v : x) v = rng.uniform() < kept ? float(rng.normal()) : 0.0f;
  return x;
}

TEST(Sparse, BitmaskByHand) {
  // Columns 1, 3, 4, 7 make 0x9a; the ninth column the lowest bit of the next byte.
  const std::vector<float> x = {0, 3, 0, -1, 2, 0, 0, 5, 0.5f, /**/ 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Sparse s = make_bitmask(x.data(), 2, 9, f16_format());
  EXPECT_EQ(std::to_integer<int>(s.positions[0]), 0x9a);
  EXPECT_EQ(std::to_integer<int>(s.positions[1]), 0x01);
  EXPECT_EQ(std::to_integer<int>(s.positions[2]), 0);
  EXPECT_EQ(s.row_starts[1], 5);
  EXPECT_EQ(s.row_starts[2], 5);
  const int halves[5] = {0x4200, 0xbc00, 0x4000, 0x4500, 0x3800};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(std::to_integer<int>(s.values.data[2 * i]) | std::to_integer<int>(s.values.data[2 * i + 1]) << 8,
              halves[i]);
  const SparseSizes sizes = sparse_sizes(s);
  EXPECT_EQ(sizes.positions, 4);
  EXPECT_EQ(sizes.row_starts, 24);
  EXPECT_EQ(sizes.values, 10);
}

TEST(Sparse, TwoOfFourByHand) {
  // Places 1 and 3: 0b1101. One value at 2: 0 is kept beside it, 0b1000. None: 0 and 1, 0b0100. 2 and 3: 0b1110.
  const std::vector<float> x = {0, 7, 0, 8, /**/ 0, 0, -1, 0, /**/ 0, 0, 0, 0, /**/ 0, 0, 4, 5};
  const Sparse s = make_two_of_four(x.data(), 1, 16, f32_format());
  EXPECT_EQ(std::to_integer<int>(s.positions[0]), 0x8d);
  EXPECT_EQ(std::to_integer<int>(s.positions[1]), 0xe4);
  const float expected[8] = {7, 8, 0, -1, 0, 0, 4, 5};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(reinterpret_cast<const float*>(s.values.data)[i], expected[i]) << i;
  EXPECT_EQ(sparse_sizes(s).total(), 2 + 32);
}

TEST(Sparse, RowsComeBack) {
  for (const dim cols : {1, 7, 8, 9, 64, 100, 1001})
    for (const double kept : {0.0, 0.01, 0.5, 0.97, 1.0}) {
      const dim rows = 5;
      const auto x = random_sparse(std::size_t(rows * cols), kept, std::uint64_t(cols));
      Sparse s = make_bitmask(x.data(), rows, cols, f32_format());
      EXPECT_NO_THROW(check_sparse(s, "w"));
      EXPECT_EQ(dense_of(Weight(std::move(s))), x) << cols << " columns, " << kept;
    }
  for (const dim cols : {4, 8, 12, 100, 1000}) {
    auto x = random_sparse(std::size_t(3 * cols), 1, std::uint64_t(cols));
    Rng rng(9);
    for (std::size_t g = 0; g < x.size(); g += 4) {
      const std::size_t a = rng.below(4), b = rng.below(4);
      for (std::size_t i = 0; i < 4; ++i)
        if (i != a && i != b) x[g + i] = 0;
    }
    Sparse s = make_two_of_four(x.data(), 3, cols, f32_format());
    EXPECT_NO_THROW(check_sparse(s, "w"));
    EXPECT_EQ(dense_of(Weight(std::move(s))), x) << cols << " columns";
  }
}

TEST(Sparse, KeptValuesMayBeQuantized) {
  // The 64 kept values of a row are one row of the format.
  std::vector<float> x(128, 0.0f), kept(64), y(64);
  Rng rng(3);
  for (std::size_t i = 0; i < 64; ++i) kept[i] = x[2 * i] = float(rng.normal());
  const Format& f = format_or_throw("q4_0");
  std::vector<std::byte> row(std::size_t(row_bytes(f, 64)));
  f.encode(f, kept.data(), nullptr, 64, {}, row.data());
  f.decode(f, row.data(), 64, y.data());
  const Weight w = make_two_of_four(x.data(), 1, 128, f);
  const auto got = row_of(w, 0);
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(got[2 * i], y[i]);
    EXPECT_EQ(got[2 * i + 1], 0.0f);
  }
  EXPECT_EQ(weight_bytes(w), 16 + 36);  // 3.25 bits for each of 128
}

TEST(Sparse, SumsAdd) {
  const std::vector<float> base = {1, 2, 3, 4, 5, 6, 7, 8}, first = {0, 10, 0, 0, 0, 0, 0, -1},
                           second = {0, 0, 0.5f, 0, 0, 0, 0, 1};
  Sum sum;
  sum.parts.emplace_back(make_bitmask(base.data(), 2, 4, f32_format()));
  sum.parts.emplace_back(make_bitmask(first.data(), 2, 4, f16_format()));
  sum.parts.emplace_back(make_two_of_four(second.data(), 2, 4, f32_format()));
  const Weight w = std::move(sum);
  EXPECT_EQ(dense_of(w), (std::vector<float>{1, 12, 3.5f, 4, 5, 6, 7, 8}));
  // Masks 3 x 2 bytes; row starts 2 x 24; values 8 x 4, 2 x 2, 4 x 4.
  EXPECT_EQ(weight_bytes(w), 6 + 48 + 32 + 4 + 16);
}

TEST(Sparse, ListedByHand) {
  // Row 0: 3 at column 1, -1 at column 4; row 1: 2 at column 0, 0.5 at column 2.
  const std::int16_t columns[4] = {1, 4, 0, 2};
  const std::uint16_t halves[4] = {0x4200, 0xbc00, 0x4000, 0x3800};
  const auto bytes = [](const auto* p) { return reinterpret_cast<const std::byte*>(p); };
  const auto view = [&] { return listed_view({2, false}, 2, 5, bytes(columns), bytes(halves)); };
  EXPECT_NO_THROW(check_sparse(view(), "w"));
  EXPECT_EQ(dense_of(Weight(view())), (std::vector<float>{0, 3, 0, 0, -1, 2, 0, 0.5f, 0, 0}));
  EXPECT_EQ(sparse_sizes(view()).total(), 8 + 8);
  // All rows with the columns of the first.
  const Sparse shared = listed_view({2, true}, 2, 5, bytes(columns), bytes(halves));
  EXPECT_EQ(sparse_sizes(shared).total(), 4 + 8);
  Sum sum;
  const std::vector<float> base = {1, 1, 1, 1, 1, 2, 2, 2, 2, 2};
  sum.parts.emplace_back(make_bitmask(base.data(), 2, 5, f32_format()));
  sum.parts.emplace_back(listed_view({2, true}, 2, 5, bytes(columns), bytes(halves)));
  EXPECT_EQ(dense_of(Weight(std::move(sum))), (std::vector<float>{1, 4, 1, 1, 0, 2, 4, 2, 2, 2.5f}));
}

TEST(Sparse, ManyColumnsTakeWideNumbers) {
  const std::int32_t columns[2] = {32768, 69999};
  std::byte stored[8];
  store_columns(columns, 70000, stored);
  EXPECT_EQ(std::to_integer<int>(stored[1]), 0x80);  // 0x00008000
  EXPECT_EQ(column_at(stored, 70000, 1), 69999);
  EXPECT_EQ(outlier_index_bytes({2, false}, 3, 70000), 24);
  EXPECT_EQ(outlier_index_bytes({2, false}, 3, 32768), 12);
  store_columns(std::vector<std::int32_t>{32767}, 32768, stored);
  EXPECT_EQ(std::to_integer<int>(stored[0]), 0xff);
  EXPECT_EQ(std::to_integer<int>(stored[1]), 0x7f);
}

TEST(Sparse, ListsOutOfOrderOrRangeAreRefused) {
  const std::uint16_t halves[4] = {};
  const std::vector<std::vector<std::int16_t>> bad = {{1, 1, 0, 1}, {2, 1, 0, 1}, {0, 1, 0, 5}, {-1, 1, 0, 1}};
  for (const auto& columns : bad)
    EXPECT_THROW(check_sparse(listed_view({2, false}, 2, 5, reinterpret_cast<const std::byte*>(columns.data()),
                                          reinterpret_cast<const std::byte*>(halves)),
                              "w"),
                 Error);
}

TEST(Sparse, UnsuitableInputIsRefused) {
  const std::vector<float> x = {1, 2, 3, 0, 0, 0, 0, 0};
  EXPECT_THROW(make_two_of_four(x.data(), 1, 8, f16_format()), Error);
  EXPECT_THROW(make_two_of_four(x.data(), 1, 6, f16_format()), Error);
  EXPECT_THROW(make_two_of_four(x.data() + 4, 1, 4, format_or_throw("q8_0")), Error);
  EXPECT_THROW(make_bitmask(x.data(), 1, 8, format_or_throw("q8_0")), Error);
}

TEST(Sparse, DamageIsFound) {
  const std::vector<float> x = {1, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0};
  const auto damaged = [&](auto damage) {
    Sparse s = make_bitmask(x.data(), 2, 10, f32_format());
    damage(s.owned.as<std::int64_t>(), s.owned.data() + 24, s);
    check_sparse(s, "w");
  };
  EXPECT_NO_THROW(damaged([](auto*, auto*, auto&) {}));
  EXPECT_THROW(damaged([](auto* starts, auto*, auto&) { starts[0] = 1; }), Error);
  EXPECT_THROW(damaged([](auto* starts, auto*, auto&) { starts[1] = 2; }), Error);
  EXPECT_THROW(damaged([](auto* starts, auto*, auto&) { starts[2] = INT64_MIN; }), Error);
  EXPECT_THROW(damaged([](auto*, std::byte* mask, auto&) { mask[0] ^= std::byte{2}; }), Error);
  EXPECT_THROW(damaged([](auto*, std::byte* mask, auto&) { mask[1] = std::byte{4}; }), Error);
  EXPECT_THROW(damaged([](auto*, auto*, Sparse& s) { s.values.cols = 5; }), Error);

  Sparse s = make_two_of_four(std::vector<float>(8).data(), 1, 8, f32_format());
  for (const int bad : {0x44 ^ 0x04, 0x46, 0x4f}) {  // places (0, 0), (2, 1), (3, 3)
    s.owned.data()[0] = std::byte(bad);
    EXPECT_THROW(check_sparse(s, "w"), Error) << bad;
  }
}

}  // namespace
}  // namespace pith
