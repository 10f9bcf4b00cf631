#include "ops/dense_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/half.h"
#include "core/rng.h"

namespace pith {
namespace {

// Against the definition in double, on the operands as stored. The tolerance is that of f32 sums of 200 terms.
template <class T, class Encode, class Decode>
void check_product(DenseType type, Encode encode, Decode decode) {
  const dim n = 9, rows = 21, cols = 200, stride = 24;
  Rng rng(5);
  std::vector<T> x(std::size_t(n * cols)), w(std::size_t(rows * cols));
  for (auto& v : x) v = encode(float(rng.normal()));
  for (auto& v : w) v = encode(float(rng.normal()));
  std::vector<float> y(std::size_t(n * stride), 3.0f);
  for (const bool add : {false, true}) {
    dense_product({type, x.data(), w.data(), y.data(), n, rows, cols, stride, add});
    for (dim i = 0; i < n; ++i) {
      for (dim r = 0; r < rows; ++r) {
        double sum = 0;
        for (dim k = 0; k < cols; ++k)
          sum += double(decode(x[std::size_t(i * cols + k)])) * double(decode(w[std::size_t(r * cols + k)]));
        EXPECT_NEAR(y[std::size_t(i * stride + r)], sum * (add ? 2 : 1), 2e-4) << i << ", " << r;
      }
      EXPECT_EQ(y[std::size_t(i * stride + rows)], 3.0f);  // beyond the row: untouched
    }
  }
}

TEST(DenseProduct, F32IsTheDefinition) {
  check_product<float>(
      DenseType::f32, [](float v) { return v; }, [](float v) { return v; });
}

TEST(DenseProduct, Bf16IsTheDefinition) {
  if (!has_bf16_products()) GTEST_SKIP() << "this processor has no bf16 products";
  check_product<std::uint16_t>(DenseType::bf16, f32_to_bf16, bf16_to_f32);
}

}  // namespace
}  // namespace pith
