#include "formats/int_group.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/rng.h"

namespace pith {
namespace {

TEST(IntGroup, CodingTheDecodedChangesNothing) {
  for (const Format* f : all_formats()) {
    if (f->int_group.bits == 0 || f->int_group.minimum) continue;
    Rng rng(2);
    constexpr dim kCols = 1 << 14;
    std::vector<float> x(kCols), y(kCols);
    for (float& v : x) v = float(rng.normal());
    for (dim i = 0; i < 128; ++i) x[std::size_t(i)] = std::abs(x[std::size_t(i)]);  // zero at the end of the range
    std::vector<std::byte> once(std::size_t(row_bytes(*f, kCols))), twice(once.size());
    const RangeSearch plain = {.kind = RangeSearch::Kind::minmax};
    f->encode(*f, x.data(), nullptr, kCols, plain, once.data());
    f->decode(*f, once.data(), kCols, y.data());
    f->encode(*f, y.data(), nullptr, kCols, plain, twice.data());
    EXPECT_EQ(once, twice) << f->name;
  }
}

TEST(IntGroup, BytesOfABlock) {
  // Scale 0.5 is 0x3800; codes 0 0 1 2 3 0 1 2 of 2 bits from the lowest: 0b10010000 0b10010011.
  const Format& f = format_or_throw("int2_row");
  const float x[8] = {-0.5f, -0.5f, 0.0f, 0.5f, 1.0f, -0.5f, 0.0f, 0.5f};
  std::vector<std::byte> row(std::size_t(row_bytes(f, 8)));
  f.encode(f, x, nullptr, 8, {.kind = RangeSearch::Kind::minmax}, row.data());
  const std::uint8_t expected[5] = {0x00, 0x38, 1, 0x90, 0x93};
  ASSERT_EQ(row.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(row.data(), expected, sizeof expected), 0);

  // Symmetric: the extreme -4 gets the lowest code, so the scale is 1 (0x3c00) and the stored code is value + 4.
  const Format& g = format_or_throw("int3_row_sym");
  const float z[5] = {-4, 3, 0, -1, 2};
  std::vector<std::byte> signed_row(std::size_t(row_bytes(g, 5)));
  g.encode(g, z, nullptr, 5, {.kind = RangeSearch::Kind::minmax}, signed_row.data());
  // 0, 7, 4, 3, 6 -> bits 0 | 7 << 3 | 4 << 6 | 3 << 9 | 6 << 12 = 0x6738
  const std::uint8_t expected_signed[4] = {0x00, 0x3c, 0x38, 0x67};
  ASSERT_EQ(signed_row.size(), sizeof expected_signed);
  EXPECT_EQ(std::memcmp(signed_row.data(), expected_signed, sizeof expected_signed), 0);
}

TEST(IntGroup, UnpackAndPackAreInverse) {
  for (const Format* f : all_formats()) {
    if (f->int_group.bits == 0 || f->int_group.minimum) continue;
    const dim cols = f->block ? f->block : 77;  // a row's last byte is only partly used
    const IntGroupParams p = int_group_params(*f, cols);
    EXPECT_EQ(p.group_bytes, row_bytes(*f, cols)) << f->name;
    Rng rng(3);
    std::vector<float> x(static_cast<std::size_t>(cols)), y(x.size());
    for (float& v : x) v = float(rng.normal());
    std::vector<std::byte> block(std::size_t(p.group_bytes)), again(block.size(), std::byte{0xff});
    f->encode(*f, x.data(), nullptr, cols, {}, block.data());
    f->decode(*f, block.data(), cols, y.data());
    std::vector<std::int8_t> codes(static_cast<std::size_t>(p.group));
    const IntGroupScale s = unpack_int_group(p, block.data(), codes.data());
    for (dim j = 0; j < cols; ++j) {
      const int code = p.symmetric ? codes[std::size_t(j)] : int(std::uint8_t(codes[std::size_t(j)]));
      EXPECT_EQ(float(code - s.zero) * f16_to_f32(s.scale_bits), y[std::size_t(j)]) << f->name;
    }
    pack_int_group(p, s, codes.data(), again.data());
    EXPECT_EQ(block, again) << f->name;
  }
}

TEST(Formats, TernaryBytes) {
  // Trits 2 0 1 1 2 make (176 * 256 + 242) / 243 = 0xba; 2 0 1 1 in the last section 0xb8.
  std::vector<float> x(256, 0.0f);
  const float five[5] = {1, -1, 0, 0, 1};
  for (int t = 0; t < 5; ++t) x[std::size_t(32 * t)] = five[t];
  for (int t = 0; t < 4; ++t) x[std::size_t(240 + 4 * t)] = five[t];
  const Format& f = format_or_throw("TQ1_0");
  std::vector<std::byte> row(std::size_t(row_bytes(f, 256)));
  f.encode(f, x.data(), nullptr, 256, {}, row.data());
  EXPECT_EQ(int(row[0]), 0xba);
  EXPECT_EQ(int(row[48]), 0xb8);
  EXPECT_EQ(int(row[53]) << 8 | int(row[52]), 0x3c00);
}

TEST(Formats, UnknownNamesListTheKnown) {
  try {
    format_or_throw("q9_9");
    FAIL();
  } catch (const std::exception& e) {
    EXPECT_NE(std::string(e.what()).find("q4_0"), std::string::npos);
  }
  EXPECT_EQ(format_of_gguf_type(2)->name, "q4_0");
  EXPECT_EQ(format_of_gguf_type(-1), nullptr);
  EXPECT_EQ(format_of_gguf_type(4), nullptr);
}

}  // namespace
}  // namespace pith
