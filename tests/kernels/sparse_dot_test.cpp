#include "kernels/sparse_dot.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "kernels/gemm.h"

namespace pith {
namespace {

struct Row {
  std::vector<std::byte> mask;
  std::vector<std::uint16_t> values, dense;
};

Row random_row(dim n, bool bfloat, double share, std::uint64_t seed) {
  Rng rng(seed);
  Row row{std::vector<std::byte>(std::size_t(n + 7) / 8), {}, std::vector<std::uint16_t>(std::size_t(n))};
  for (dim c = 0; c < n; ++c) {
    if (rng.uniform() >= share) continue;
    const float v = float(rng.normal());
    const std::uint16_t bits = bfloat ? f32_to_bf16(v) : f32_to_f16(v);
    row.mask[std::size_t(c / 8)] |= std::byte(1 << (c % 8));
    row.values.push_back(bits);
    row.dense[std::size_t(c)] = bits;
  }
  return row;
}

}  // namespace

// The values' memory ends with the row: sanitizers see what is read beyond it.
TEST(SparseDot, HasTheBitsOfTheDenseProduct) {
  for (const bool bfloat : {true, false})
    for (const dim n : {1, 7, 8, 31, 32, 64, 95, 576, 1000})
      for (const double share : {0.0, 0.1, 0.5, 1.0}) {
        const Row row = random_row(n, bfloat, share, std::uint64_t(n) + 7);
        Rng rng(3);
        std::vector<float> x(static_cast<std::size_t>(n));
        for (float& v : x) v = float(rng.normal());
        const auto* values = reinterpret_cast<const std::byte*>(row.values.data());
        const SparseRow16 sparse{row.mask.data(), values, values + 2 * row.values.size(), bfloat};
        const auto* dense = reinterpret_cast<const std::byte*>(row.dense.data());
        EXPECT_EQ(sparse_dot16(x.data(), sparse, n),
                  bfloat ? dot_bf16(x.data(), dense, n) : dot_f16(x.data(), dense, n))
            << n << " " << share << " " << bfloat;
        std::vector<std::uint16_t> spread(row.dense.size() + 1, 0xabcd);
        spread_row16(sparse, n, spread.data());
        EXPECT_EQ(spread.back(), 0xabcd);
        spread.pop_back();
        EXPECT_EQ(spread, row.dense);
      }
}

}  // namespace pith
