// The codebooks and the bit layouts that refer to them, by points and bytes written out.
#include "kernels/codebook_points.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "formats/format.h"

namespace pith {
namespace {

using kernels::Codebook;

std::vector<float> point(const Codebook& book, int p) {
  return {book.rows + p * book.length, book.rows + (p + 1) * book.length};
}

void check_tables(const Codebook& book, int count, int length, int levels) {
  ASSERT_EQ(book.count, count);
  ASSERT_EQ(book.length, length);
  ASSERT_EQ(book.levels, levels);
  for (int p = 0; p < count; ++p) {
    double norm = 0;
    int key = book.keys[p];
    EXPECT_EQ(book.at[key], p);
    EXPECT_TRUE(p == 0 || book.keys[p - 1] < key);
    for (int i = 0; i < length; ++i, key /= levels) {
      const float v = book.rows[p * length + i];
      EXPECT_EQ(v, book.level[key % levels]);
      EXPECT_EQ(v, book.columns[i * count + p]);
      norm += double(v) * v;
    }
    EXPECT_EQ(book.norms[p], norm);
  }
  int members = 0;
  for (int key = 0; key < int(std::lround(std::pow(levels, length))); ++key) members += book.at[key] >= 0;
  EXPECT_EQ(members, count);
}

TEST(Codebook, TablesAgree) {
  check_tables(kernels::codebook_2xxs(), 256, 8, 3);
  check_tables(kernels::codebook_2xs(), 512, 8, 3);
  check_tables(kernels::codebook_2s(), 1024, 8, 3);
  check_tables(kernels::codebook_3xxs(), 256, 4, 8);
  check_tables(kernels::codebook_3s(), 512, 4, 8);
  check_tables(kernels::codebook_1(), 2048, 8, 3);
}

TEST(Codebook, PointsWrittenOut) {
  using V = std::vector<float>;
  EXPECT_EQ(point(kernels::codebook_2xxs(), 0), (V{8, 8, 8, 8, 8, 8, 8, 8}));
  EXPECT_EQ(point(kernels::codebook_2xxs(), 1), (V{43, 8, 8, 8, 8, 8, 8, 8}));
  EXPECT_EQ(point(kernels::codebook_2xxs(), 2), (V{25, 25, 8, 8, 8, 8, 8, 8}));
  EXPECT_EQ(point(kernels::codebook_3xxs(), 0), (V{4, 4, 4, 4}));
  EXPECT_EQ(point(kernels::codebook_3xxs(), 1), (V{20, 4, 4, 4}));
  EXPECT_EQ(point(kernels::codebook_3xxs(), 3), (V{12, 12, 4, 4}));
  EXPECT_EQ(point(kernels::codebook_3s(), 3), (V{11, 1, 1, 1}));
  EXPECT_EQ(point(kernels::codebook_3s(), 4), (V{15, 1, 1, 1}));
  EXPECT_EQ(point(kernels::codebook_1(), 0), (V{-1, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(point(kernels::codebook_1(), 1), (V{1, -1, -1, -1, -1, -1, -1, -1}));
}

std::vector<float> decoded(const char* name, const std::vector<std::byte>& block) {
  const Format& f = format_or_throw(name);
  EXPECT_EQ(dim(block.size()), f.block_bytes);
  std::vector<float> out(256);
  f.decode(f, block.data(), 256, out.data());
  return out;
}

void set(std::vector<std::byte>& block, std::size_t at, int value) { block[at] = std::byte(value); }

TEST(LatticeLayout, Iq2Xxs) {
  std::vector<std::byte> block(66);
  set(block, 1, 0x3c);       // d = 1
  set(block, 2 + 8 + 1, 1);  // sub-block 1, group 1: point 1
  // Signs of groups 0 and 1 of sub-block 1: value 0 of group 0 (so value 7 too), values 0 and 1 of group 1; scale 3.
  const std::uint32_t word = 1u | 3u << 7 | 3u << 28;
  for (std::size_t i = 0; i < 4; ++i) set(block, 2 + 8 + 4 + i, int(word >> 8 * i & 255));
  const auto y = decoded("iq2_xxs", block);
  EXPECT_EQ(y[0], 1.0f);    // 8 * (0 + 1/2) / 4
  EXPECT_EQ(y[32], -7.0f);  // 8 * (3 + 1/2) / 4
  EXPECT_EQ(y[38], 7.0f);
  EXPECT_EQ(y[39], -7.0f);
  EXPECT_EQ(y[40], -37.625f);  // 43 * 3.5 / 4
  EXPECT_EQ(y[41], -7.0f);
  EXPECT_EQ(y[47], 7.0f);
}

TEST(LatticeLayout, Iq2S) {
  std::vector<std::byte> block(82);
  set(block, 1, 0x3c);
  set(block, 2 + 6, 1);        // group 6: point 1 or, with its high bits, 1 + 256 * 3
  set(block, 34 + 6, 0x81);    // values 0 and 7 of it
  set(block, 66 + 1, 3 << 4);  // groups 4-7: group 6 has high bits 3
  set(block, 74 + 1, 0x20);    // scales 2 and 3: 0 and 2
  const auto y = decoded("iq2_s", block);
  const Codebook& book = kernels::codebook_2s();
  for (int i = 0; i < 8; ++i) {
    const float sign = i == 0 || i == 7 ? -1.0f : 1.0f;
    EXPECT_EQ(y[std::size_t(48 + i)], sign * book.rows[8 * 769 + i] * 0.625f) << i;  // (2 + 1/2) / 4
  }
  EXPECT_EQ(y[40], 1.0f);
  EXPECT_EQ(y[56], 5.0f);
}

TEST(LatticeLayout, Iq3S) {
  std::vector<std::byte> block(110);
  set(block, 1, 0x3c);
  set(block, 2 + 9, 4);      // group of four number 9: point 4
  set(block, 74 + 4, 0x10);  // value 4 of the group of eight number 4
  set(block, 106, 0x70);     // scale of sub-block 1: 7
  const auto y = decoded("iq3_s", block);
  EXPECT_EQ(y[36], -225.0f);  // 15 * (2 * 7 + 1)
  EXPECT_EQ(y[37], 15.0f);
  EXPECT_EQ(y[0], 1.0f);
}

TEST(LatticeLayout, Iq1S) {
  std::vector<std::byte> block(50);
  set(block, 1, 0x3c);
  set(block, 2 + 4, 1);             // group 4: point 1
  set(block, 34 + 3, 0x80 | 0x50);  // sub-block 1: down, scale 5
  const auto y = decoded("iq1_s", block);
  EXPECT_EQ(y[0], -0.875f);
  EXPECT_EQ(y[32], 9.625f);  // (1 - 1/8) * 11
  EXPECT_EQ(y[33], -12.375f);
}

TEST(LatticeLayout, Iq1M) {
  std::vector<std::byte> block(56);
  set(block, 55, 0x30), set(block, 53, 0xc0);  // d = 0x3c00: its nibbles lie on top of the four words
  set(block, 1, 1);                            // group 1: point 1
  set(block, 32, 0x80);                        // its shift is down
  set(block, 48, 0x05);                        // scale 0: 5
  const auto y = decoded("iq1_m", block);
  EXPECT_EQ(y[0], -9.625f);  // (-1 + 1/8) * 11
  EXPECT_EQ(y[8], 9.625f);
  EXPECT_EQ(y[9], -12.375f);
  EXPECT_EQ(y[16], -0.875f);
}

TEST(FourBitFloatLayout, Nvfp4) {
  std::vector<std::byte> block(36);
  // 1 (exponent 7), 1.125, 2^-9 (the least), 448 (the most).
  set(block, 0, 0x38), set(block, 1, 0x39), set(block, 2, 0x01), set(block, 3, 0x7e);
  for (std::size_t s = 0; s < 4; ++s) set(block, 4 + 8 * s, 0xf2);  // value 0: 1, value 8: -6
  const Format& f = format_or_throw("nvfp4");
  std::vector<float> y(64);
  f.decode(f, block.data(), 64, y.data());
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[8], -6.0f);
  EXPECT_EQ(y[16], 1.125f);
  EXPECT_EQ(y[32], 1.0f / 512);
  EXPECT_EQ(y[48], 448.0f);
  EXPECT_EQ(y[56], -2688.0f);
  EXPECT_EQ(y[1], 0.0f);
}

TEST(TwoBitLayout, Q2_0AndQ1_0) {
  std::vector<std::byte> block(18);
  set(block, 1, 0x3c), set(block, 2, 0xe4);  // codes 0, 1, 2, 3
  std::vector<float> y(128);
  const Format& two = format_or_throw("q2_0");
  two.decode(two, block.data(), 64, y.data());
  EXPECT_EQ((std::vector<float>(y.begin(), y.begin() + 5)), (std::vector<float>{-1, 0, 1, 2, -1}));
  const Format& one = format_or_throw("q1_0");
  one.decode(one, block.data(), 128, y.data());
  EXPECT_EQ((std::vector<float>(y.begin(), y.begin() + 9)), (std::vector<float>{-1, -1, 1, -1, -1, 1, 1, 1, -1}));
}

}  // namespace
}  // namespace pith
