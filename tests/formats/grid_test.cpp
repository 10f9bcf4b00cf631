#include "formats/grid.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/half.h"

namespace pith {
namespace {

std::vector<float> values_of(const Format& f, const std::byte* row, dim cols) {
  std::vector<float> out(static_cast<std::size_t>(cols));
  f.decode(f, row, cols, out.data());
  return out;
}

// A row on a grid with every code, and zero points or minimums that differ from group to group.
std::vector<std::byte> full_row(const Format& f, dim cols) {
  const Grid grid = grid_of(f, cols);
  std::vector<std::byte> row(static_cast<std::size_t>(row_bytes(f, cols)));
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(grid.group));
  const int top = (1 << grid.bits) - 1;
  for (dim g = 0; g < cols / grid.group; ++g) {
    for (dim j = 0; j < grid.group; ++j) codes[std::size_t(j)] = std::uint8_t((j * 5 + g) & top);
    codes[0] = 0;
    codes[1] = std::uint8_t(top);
    const GridGroup group{std::uint16_t(0x2c35 + 7 * g), f32_to_f16(-0.25f * float(g + 1)), int(g * 3) & top};
    write_group(f, grid, group, codes.data(), g, row.data());
  }
  return row;
}

TEST(Grid, EveryExactMoveKeepsEveryValue) {
  constexpr dim kCols = 256;
  int moves = 0;
  for (const Format* from : all_formats()) {
    if (grid_of(*from, kCols).kind == GridKind::none) continue;
    const auto row = full_row(*from, kCols);
    const auto expected = values_of(*from, row.data(), kCols);
    for (const Format* to : all_formats()) {
      if (!moves_exactly(*from, *to, kCols)) continue;
      std::vector<std::byte> moved(static_cast<std::size_t>(row_bytes(*to, kCols)), std::byte(0xee));
      move_row(*from, *to, row.data(), kCols, moved.data(), "row");
      ASSERT_EQ(values_of(*to, moved.data(), kCols), expected) << from->name << " to " << to->name;
      ++moves;
    }
  }
  EXPECT_GT(moves, 300);
}

bool moves(std::string_view from, std::string_view to) {
  return moves_exactly(format_or_throw(from), format_or_throw(to), 256);
}

TEST(Grid, WhichMovesAreExact) {
  EXPECT_TRUE(moves("q4_0", "int4_g32_sym"));
  EXPECT_TRUE(moves("int4_g128_sym", "q4_0"));
  EXPECT_TRUE(moves("q8_0", "int8_g32_sym"));
  EXPECT_TRUE(moves("q4_1", "affine4_g32"));
  EXPECT_TRUE(moves("int4_g32_sym", "int4_g32"));
  EXPECT_TRUE(moves("int4_g128", "q5_0"));  // code - zero needs one bit more
  EXPECT_TRUE(moves("int4_row", "affine5_g64"));
  EXPECT_FALSE(moves("int4_g128", "q4_0"));
  EXPECT_FALSE(moves("int4_g128", "q4_1"));     // zero * scale need not be a float16
  EXPECT_FALSE(moves("q4_0", "int4_g64_sym"));  // two scales into one
  EXPECT_FALSE(moves("q4_1", "int4_g32"));
  EXPECT_FALSE(moves("int8_g128", "q8_0"));
  EXPECT_FALSE(moves("q6_k", "q8_0"));
  EXPECT_FALSE(moves("f16", "f32"));  // widening is no move of codes
}

TEST(Grid, TheSameScaleStandsInBothBlocks) {
  std::vector<std::byte> q4(18, std::byte(0x77)), out(18);
  const std::uint16_t scale = 0x3c01;
  std::memcpy(q4.data(), &scale, 2);
  q4[2] = std::byte(0xf0);  // element 0: -8; element 16: 7
  move_row(format_or_throw("q4_0"), format_or_throw("int4_g32_sym"), q4.data(), 32, out.data(), "row");
  EXPECT_EQ(out[0], std::byte(0x01));
  EXPECT_EQ(out[1], std::byte(0x3c));
  EXPECT_EQ(out[2], std::byte(0x70));   // elements 0 and 1
  EXPECT_EQ(out[10], std::byte(0x7f));  // elements 16 and 17
}

TEST(Grid, ZeroPointsOutOfReachAreAnError) {
  const Format &from = format_or_throw("int4_g32"), &to = format_or_throw("q5_0");
  const Grid grid = grid_of(from, 32);
  std::vector<std::byte> row(static_cast<std::size_t>(row_bytes(from, 32))), out(22);
  std::vector<std::uint8_t> codes(32, 3);
  write_group(from, grid, {0x3c00, 0, 200}, codes.data(), 0, row.data());
  EXPECT_THROW(move_row(from, to, row.data(), 32, out.data(), "row"), Error);
}

}  // namespace
}  // namespace pith
