// The backward pass of single operators against plain double-precision sums.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "core/rng.h"
#include "formats/format.h"
#include "kernels/rows_backward.h"
#include "ops/attention_backward.h"
#include "ops/dense_product.h"
#include "ops/linear_backward.h"
#include "ops/norm_backward.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::encoded;
using test::normals;

struct Case {
  const char* format;
  dim rows, cols, n;
};
class LinearBackward : public testing::TestWithParam<Case> {};

TEST_P(LinearBackward, EqualsDoublePrecision) {
  const auto [name, rows, cols, n] = GetParam();
  const Format& format = format_or_throw(name);
  const Weight weight = encoded(format, normals(rows * cols, 1), rows, cols);
  std::vector<float> w(std::size_t(rows * cols));
  for (dim r = 0; r < rows; ++r) decode_weight_row(weight, r, w.data() + r * cols, nullptr);
  const auto x = normals(n * cols, 2), dy = normals(n * rows, 3);
  std::vector<float> dx(std::size_t(n * cols), 2.0f), dw(w.size(), 1.0f), db(std::size_t(rows), -1.0f);
  LinearBackwardWorkspace workspace;
  linear_backward({&weight, x.data(), dy.data(), n, dx.data(), true, dw.data(), db.data()}, workspace);

  // Sums of f32; where both operands of a product were rounded to bf16, errors of 2^-8 of each term.
  const bool narrow = &format == &bf16_format() && has_bf16_products();
  const double tolerance = narrow ? 0x1p-8 : 2e-6;
  for (dim i = 0; i < n; ++i)
    for (dim c = 0; c < cols; ++c) {
      double sum = 2, size = 2;
      for (dim r = 0; r < rows; ++r) {
        const double term = double(dy[std::size_t(i * rows + r)]) * double(w[std::size_t(r * cols + c)]);
        sum += term;
        size += std::fabs(term);
      }
      ASSERT_NEAR(dx[std::size_t(i * cols + c)], sum, tolerance * size) << i << ' ' << c;
    }
  for (dim r = 0; r < rows; ++r) {
    double bias = -1;
    for (dim i = 0; i < n; ++i) bias += double(dy[std::size_t(i * rows + r)]);
    ASSERT_NEAR(db[std::size_t(r)], bias, 1e-5 * double(n));
    for (dim c = 0; c < cols; ++c) {
      double sum = 1, size = 1;
      for (dim i = 0; i < n; ++i) {
        const double term = double(dy[std::size_t(i * rows + r)]) * double(x[std::size_t(i * cols + c)]);
        sum += term;
        size += std::fabs(term);
      }
      ASSERT_NEAR(dw[std::size_t(r * cols + c)], sum, tolerance * size) << r << ' ' << c;
    }
  }
}

TEST_P(LinearBackward, SquaresAreThoseOfEachRowsPart) {
  const auto [name, rows, cols, n] = GetParam();
  const Weight weight = encoded(format_or_throw(name), normals(rows * cols, 1), rows, cols);
  const auto x = normals(n * cols, 2), dy = normals(n * rows, 3);
  std::vector<float> dw(std::size_t(rows * cols), 1.0f);
  LinearBackwardWorkspace workspace;
  linear_backward({.weight = &weight, .x = x.data(), .dy = dy.data(), .n = n, .dweight = dw.data(), .squares = true},
                  workspace);
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < cols; ++c) {
      double sum = 1;
      for (dim i = 0; i < n; ++i)
        sum += std::pow(double(dy[std::size_t(i * rows + r)]) * double(x[std::size_t(i * cols + c)]), 2);
      ASSERT_NEAR(dw[std::size_t(r * cols + c)], sum, 2e-6 * sum) << r << ' ' << c;  // sums of f32
    }
}

INSTANTIATE_TEST_SUITE_P(All, LinearBackward,
                         testing::Values(Case{"f32", 70, 33, 5}, Case{"f32", 200, 48, 300}, Case{"bf16", 96, 64, 150},
                                         Case{"f16", 40, 21, 9}, Case{"q4_0", 65, 96, 140}),
                         [](const auto& p) {
                           return std::string(p.param.format) + "_" + std::to_string(p.param.rows);
                         });

// Larger than one strip of 16 pairs, with a window that hides most keys and a soft cap.
TEST(AttentionBackward, GradientsOfALinearLossAreItsDifferences) {
  const dim n = 40, heads = 3, d = 20;
  const AttentionShape shape = {
      .heads = heads, .kv_heads = 1, .head_dim = d, .scale = 0.3f, .softcap = 2.0f, .window = 7};
  std::vector<float> q = normals(n * heads * d, 1), k = normals(n * d, 2), v = normals(n * d, 3);
  const std::vector<float> weights = normals(n * heads * d, 4);
  const auto loss = [&] {
    double sum = 0;
    for (dim t = 0; t < n; ++t)
      for (dim h = 0; h < heads; ++h) {
        double total = 0, out = 0;
        for (dim j = std::max<dim>(0, t - 6); j <= t; ++j) {
          double s = 0, value = 0;
          for (dim i = 0; i < d; ++i) {
            s += double(q[std::size_t((t * heads + h) * d + i)]) * double(k[std::size_t(j * d + i)]) * double(0.3f);
            value += double(weights[std::size_t((t * heads + h) * d + i)]) * double(v[std::size_t(j * d + i)]);
          }
          const double e = std::exp(2.0 * std::tanh(s / 2.0));
          total += e;
          out += e * value;
        }
        sum += out / total;
      }
    return sum;
  };
  std::vector<float> dq(q.size()), dk(k.size()), dv(v.size());
  const SequenceRows all = {0, n};
  AttentionBackward().run(shape, {&all, 1},
                          {q.data(), k.data(), v.data(), weights.data(), dq.data(), dk.data(), dv.data()});
  Rng rng(7);
  const auto check = [&](std::vector<float>& x, const std::vector<float>& gradient, const char* what) {
    for (int trial = 0; trial < 40; ++trial) {
      const auto i = std::size_t(rng.below(dim(x.size())));
      const float before = x[i];
      x[i] = before + 0x1p-12f;
      const double up = loss(), high = double(x[i]);
      x[i] = before - 0x1p-12f;
      const double down = loss(), low = double(x[i]);
      x[i] = before;
      // step^2 / 6 of the third derivative, and f32 with tanh to 2e-7
      EXPECT_NEAR(gradient[i], (up - down) / (high - low), 2e-5) << what << ' ' << i;
    }
  };
  check(q, dq, "q");
  check(k, dk, "k");
  check(v, dv, "v");
}

// A scale of 1 and mean of 0 leave a norm's own gradient: it is orthogonal to x (RMS), and to 1 and x (layer norm).
TEST(NormBackward, GradientLeavesTheNormAlone) {
  const dim n = 37;
  for (const bool layer_norm : {false, true}) {
    const auto x = normals(n, 1), dy = normals(n, 2);
    std::vector<float> dx(static_cast<std::size_t>(n));
    std::vector<NormScale> scratch;
    norm_rows_backward(
        {.x = x.data(), .n = 1, .cols = n, .layer_norm = layer_norm, .eps = 0, .dy = dy.data(), .dx = dx.data()},
        scratch);
    double with_x = 0, with_one = 0, size = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) {
      with_x += double(dx[i]) * double(x[i]);
      with_one += double(dx[i]);
      size += double(dx[i]) * double(dx[i]);
    }
    EXPECT_GT(size, 1.0);
    EXPECT_NEAR(with_x, 0, 1e-5);
    EXPECT_NEAR(layer_norm ? with_one : 0, 0, 1e-5);
  }
}

double act(ActivationKernel kind, double x) {
  switch (kind) {
    case ActivationKernel::silu:
      return x / (1 + std::exp(-x));
    case ActivationKernel::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ActivationKernel::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case ActivationKernel::relu:
      return x > 0 ? x : 0;
  }
  return 0;
}

TEST(GateBackward, SlopesOfActivations) {
  for (const auto kind :
       {ActivationKernel::silu, ActivationKernel::gelu_tanh, ActivationKernel::gelu_erf, ActivationKernel::relu})
    for (double x = -7.03; x < 7; x += 0.11) {
      const float gate = float(x), up = 1.5f, dy = -2.0f;
      float dgate = 0, dup = 0;
      activate_backward(kind, &gate, &up, &dy, 1, &dgate, &dup);
      const double slope = (act(kind, double(gate) + 1e-5) - act(kind, double(gate) - 1e-5)) / 2e-5;
      // f32, and erfc to 1.5e-7, times x
      EXPECT_NEAR(dgate, -3 * slope, 1e-5) << int(kind) << ' ' << x;
      EXPECT_NEAR(dup, -2 * act(kind, double(gate)), 3e-6 * (1 + std::fabs(x))) << int(kind) << ' ' << x;
    }
}

}  // namespace
}  // namespace pith
