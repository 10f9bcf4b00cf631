#include "formats/sparse_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/rng.h"

namespace pith {
namespace {

constexpr dim kRows = 7, kCols = 384;

struct Case {
  const char* format;
  SparseLayout layout;
};

// Rows of which about half (two of four) are zeros, encoded.
std::vector<std::byte> encoded_rows(const Format& f, bool pattern, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::byte> bytes(std::size_t(kRows * row_bytes(f, kCols)));
  for (dim r = 0; r < kRows; ++r) {
    std::vector<float> x(kCols);
    for (dim c = 0; c < kCols; ++c) {
      const bool stays = pattern ? c % 4 == r % 4 || c % 4 == (r + 1 + c / 4 % 2) % 4 : rng.normal() > 0;
      x[std::size_t(c)] = stays ? float(rng.normal()) : 0.0f;
    }
    f.encode(f, x.data(), nullptr, kCols, {}, bytes.data() + r * row_bytes(f, kCols));
  }
  return bytes;
}

dim not_zero(const Format& f, const std::vector<std::byte>& bytes) {
  dim n = 0;
  std::vector<float> row(kCols);
  for (dim r = 0; r < kRows; ++r) {
    f.decode(f, bytes.data() + r * row_bytes(f, kCols), kCols, row.data());
    for (const float v : row) n += v != 0;
  }
  return n;
}

Sparse view(const SparseShape& shape, const Format& f, const SparseParts& p) {
  return sparse_view(shape, f, kRows, kCols, p.positions.data(), p.scales.data(), p.values.data(), "test");
}

class SparseRows : public testing::TestWithParam<Case> {};

TEST_P(SparseRows, ComeBackAsTheyWere) {
  const Format& f = format_or_throw(GetParam().format);
  const auto bytes = encoded_rows(f, GetParam().layout == SparseLayout::two_of_four, 1);
  for (const dim spare : {0, 5}) {
    const SparseShape shape{GetParam().layout, not_zero(f, bytes) + spare};
    const SparseParts parts = pack_sparse(shape, f, kRows, kCols, bytes.data());
    const SparseSizes sizes = sparse_sizes(shape, f, kRows, kCols);
    EXPECT_EQ(dim(parts.positions.size()), kRows * kCols / 8);
    EXPECT_EQ(dim(parts.positions.size() + parts.scales.size() + parts.values.size()), sizes.total());
    const Sparse s = view(shape, f, parts);
    std::vector<std::byte> row(std::size_t(row_bytes(f, kCols)));
    std::vector<float> want(kCols), got(kCols);
    for (dim r = 0; r < kRows; ++r) {
      const std::byte* from = bytes.data() + r * row_bytes(f, kCols);
      encode_sparse_row(s, f, r, row.data());
      EXPECT_EQ(std::memcmp(row.data(), from, row.size()), 0) << r;
      f.decode(f, from, kCols, want.data());
      decode_sparse_row(s, r, got.data());
      EXPECT_EQ(got, want) << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, SparseRows,
    testing::Values(Case{"f32", SparseLayout::bitmask}, Case{"f16", SparseLayout::bitmask},
                    Case{"bf16", SparseLayout::bitmask}, Case{"int8_row_sym", SparseLayout::bitmask},
                    Case{"int8_g128_sym", SparseLayout::bitmask}, Case{"int4_g64_sym", SparseLayout::bitmask},
                    Case{"int3_row_sym", SparseLayout::bitmask}, Case{"q8_0", SparseLayout::bitmask},
                    Case{"q4_0", SparseLayout::bitmask}, Case{"bf16", SparseLayout::two_of_four},
                    Case{"int8_row_sym", SparseLayout::two_of_four}, Case{"int4_g128_sym", SparseLayout::two_of_four}),
    [](const auto& i) {
      return std::string(i.param.format) + (i.param.layout == SparseLayout::bitmask ? "_bitmask" : "_two_of_four");
    });

// 384 columns of 8 bits with half of them kept: 1 bit and 4 bits a value, and a float16 for each row.
TEST(SparseRowsSizes, AreMaskScalesAndKeptCodes) {
  const SparseSizes s = sparse_sizes({SparseLayout::bitmask, 1344}, format_or_throw("int8_row_sym"), 7, 384);
  EXPECT_EQ(s.positions, 336);
  EXPECT_EQ(s.scales, 14);
  EXPECT_EQ(s.values, 1344);
  EXPECT_EQ(sparse_sizes({SparseLayout::bitmask, 1345}, format_or_throw("int4_g128_sym"), 7, 384).values, 673);
  EXPECT_EQ(sparse_sizes({SparseLayout::two_of_four, 1344}, format_or_throw("bf16"), 7, 384).values, 2688);
}

TEST(SparseRowsFaults, AreNamed) {
  const Format& f = format_or_throw("int8_row_sym");
  const auto bytes = encoded_rows(f, false, 3);
  const dim kept = not_zero(f, bytes);
  EXPECT_THROW(pack_sparse({SparseLayout::bitmask, kept - 1}, f, kRows, kCols, bytes.data()), Error);
  EXPECT_THROW(pack_sparse({SparseLayout::two_of_four, kept}, f, kRows, kCols, bytes.data()), Error);
  const SparseParts parts = pack_sparse({SparseLayout::bitmask, kept}, f, kRows, kCols, bytes.data());
  EXPECT_THROW(view({SparseLayout::bitmask, kept - 1}, f, parts), Error);  // more bits than values
  EXPECT_FALSE(sparse_misfit(SparseLayout::bitmask, format_or_throw("q4_k"), 512).empty());
  EXPECT_FALSE(sparse_misfit(SparseLayout::bitmask, format_or_throw("int4_g128"), 512).empty());
  EXPECT_FALSE(sparse_misfit(SparseLayout::two_of_four, format_or_throw("q8_0"), 512).empty());
  EXPECT_FALSE(sparse_misfit(SparseLayout::two_of_four, format_or_throw("bf16"), 510).empty());
}

}  // namespace
}  // namespace pith
