#include "compress/quantize/awq_scale.h"

#include <algorithm>
#include <cmath>

#include "core/buffer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "kernels/gemm.h"

namespace pith {

namespace {

constexpr int kAlphas = 20;
constexpr double kAlphaStep = 0.05;
constexpr double kLeastMagnitude = 1e-4;

// Of all the inputs together, each seen by one matrix or shared by some.
std::vector<double> mean_magnitudes(std::span<const InputStats* const> inputs) {
  std::vector<double> mean(inputs[0]->magnitudes.size());
  dim tokens = 0;
  for (const InputStats* s : inputs) {
    for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += s->magnitudes[c];
    tokens += s->tokens;
  }
  for (double& m : mean) m /= double(std::max<dim>(1, tokens));
  return mean;
}

std::vector<float> factors_of(const std::vector<double>& magnitudes, double alpha) {
  std::vector<double> s;
  for (const double m : magnitudes) s.push_back(std::max(kLeastMagnitude, std::pow(m, alpha)));
  const auto [low, high] = std::minmax_element(s.begin(), s.end());
  const double middle = std::sqrt(*low * *high);
  std::vector<float> out;
  for (const double v : s) out.push_back(float(v / middle));
  return out;
}

// Some rows of the matrices that read one input, spread over each, and what an error there costs.
class Sample {
 public:
  Sample(std::span<const ScaledMatrix> matrices, const InputStats& input, dim most_rows)
      : n_(input.cols), mean_squares_(input.mean_squares()) {
    for (const ScaledMatrix& m : matrices) {
      if (m.stats != &input) continue;
      const dim count = std::min(m.rows, most_rows);
      for (dim i = 0; i < count; ++i) rows_.push_back({&m, i * m.rows / count, double(m.rows) / double(count)});
    }
    const dim values = dim(rows_.size()) * n_;
    weights_ = Buffer(values * dim(sizeof(float)));
    errors_ = Buffer(values * dim(sizeof(float)));
    parallel_for(dim(rows_.size()), [&](dim r) { at(r).matrix->load(at(r).row, weights_.as<float>() + r * n_); });
    pack(*input.moment);
  }

  double loss(const std::vector<float>& factors, const RangeSearch& range) {
    std::vector<float> importance(mean_squares_);
    for (std::size_t c = 0; c < importance.size(); ++c) importance[c] /= factors[c] * factors[c];
    parallel_ranges(dim(rows_.size()), 1, [&](dim begin, dim end) {
      std::vector<float> scaled(static_cast<std::size_t>(n_));
      for (dim r = begin; r < end; ++r) round(r, factors, importance, range, scaled);
    });
    return products();
  }

 private:
  struct Row {
    const ScaledMatrix* matrix;
    dim row;
    double stands_for;
  };
  const Row& at(dim r) const { return rows_[std::size_t(r)]; }
  dim groups() const { return (n_ + kGemmWidth - 1) / kGemmWidth; }

  // X^T X in groups of 16 columns, each (n, 16).
  void pack(const SecondMoment& moment) {
    moment_ = Buffer(groups() * n_ * kGemmWidth * dim(sizeof(float)));
    parallel_for(groups(), [&](dim g) {
      float* out = moment_.as<float>() + g * n_ * kGemmWidth;
      for (dim i = 0; i < n_; ++i)
        for (dim j = 0; j < kGemmWidth; ++j) {
          const dim c = g * kGemmWidth + j;
          out[i * kGemmWidth + j] = c < n_ ? float(moment.at(i, c)) : 0;
        }
    });
  }

  void round(dim r, const std::vector<float>& factors, const std::vector<float>& importance, const RangeSearch& range,
             std::vector<float>& scaled) {
    const Format& format = *at(r).matrix->format;
    const float* w = weights_.as<float>() + r * n_;
    float* error = errors_.as<float>() + r * n_;
    std::vector<std::byte> codes(std::size_t(row_bytes(format, n_)));
    for (dim c = 0; c < n_; ++c) scaled[std::size_t(c)] = w[c] * factors[std::size_t(c)];
    format.encode(format, scaled.data(), importance.data(), n_, range, codes.data());
    format.decode(format, codes.data(), n_, error);
    for (dim c = 0; c < n_; ++c) error[c] = w[c] - error[c] / factors[std::size_t(c)];
  }

  // Sum over rows of e H e^T.
  double products() const {
    const dim rows = dim(rows_.size());
    const float* errors = errors_.as<float>();
    std::vector<double> sums(static_cast<std::size_t>(groups()));
    parallel_ranges(groups(), 1, [&](dim begin, dim end) {
      std::vector<float> product(std::size_t(rows * kGemmWidth));
      for (dim g = begin; g < end; ++g) {
        gemm({.m = rows,
              .n = kGemmWidth,
              .k = n_,
              .a = errors,
              .a_row = n_,
              .a_col = 1,
              .b = moment_.as<float>() + g * n_ * kGemmWidth,
              .c = product.data(),
              .c_row = kGemmWidth,
              .add = false});
        for (dim r = 0; r < rows; ++r) {
          double sum = 0;
          for (dim j = 0; j < std::min(kGemmWidth, n_ - g * kGemmWidth); ++j)
            sum += double(errors[r * n_ + g * kGemmWidth + j]) * double(product[std::size_t(r * kGemmWidth + j)]);
          sums[std::size_t(g)] += sum * at(r).stands_for;
        }
      }
    });
    double sum = 0;
    for (const double s : sums) sum += s;
    return sum;
  }

  dim n_;
  std::vector<float> mean_squares_;
  std::vector<Row> rows_;
  Buffer weights_, errors_;  // (rows, n)
  Buffer moment_;
};

}  // namespace

AwqSearch awq_search(std::span<const ScaledMatrix> matrices, const RangeSearch& range, dim most_rows) {
  PITH_CHECK(!matrices.empty());
  std::vector<const InputStats*> inputs;
  for (const ScaledMatrix& m : matrices) {
    PITH_CHECK(m.stats && m.stats->moment && m.stats->cols == m.cols);
    if (std::find(inputs.begin(), inputs.end(), m.stats) == inputs.end()) inputs.push_back(m.stats);
  }
  const std::vector<double> magnitudes = mean_magnitudes(inputs);
  AwqSearch out;
  out.losses.resize(kAlphas);
  for (const InputStats* input : inputs) {
    Sample sample(matrices, *input, most_rows);
    for (int i = 0; i < kAlphas; ++i)
      out.losses[std::size_t(i)] += sample.loss(factors_of(magnitudes, i * kAlphaStep), range);
  }
  out.best = std::size_t(std::min_element(out.losses.begin(), out.losses.end()) - out.losses.begin());
  if (!std::isfinite(out.losses[out.best])) throw input_error("calibration", "expected finite activations");
  if (out.best > 0) out.factors = factors_of(magnitudes, double(out.best) * kAlphaStep);
  return out;
}

}  // namespace pith
