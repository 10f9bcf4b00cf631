#include "math/second_moment.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/parallel.h"
#include "kernels/gemm.h"

namespace pith {

static_assert(kGemmWidth == 16);

SecondMoment::SecondMoment(dim n) : n_(n), sum_(bytes(n)) {}

dim SecondMoment::bytes(dim n) {
  const dim groups = (n + kGroup - 1) / kGroup;
  return kGroup * kGroup * groups * (groups + 1) / 2 * dim(sizeof(double));
}

void SecondMoment::add_group(const float* x, dim rows, dim group, float* packed, float* product) {
  const dim first = group * kGroup, width = std::min(kGroup, n_ - first), height = first + width;
  for (dim r = 0; r < rows; ++r) {
    std::copy_n(x + r * n_ + first, width, packed + r * kGroup);
    std::fill(packed + r * kGroup + width, packed + (r + 1) * kGroup, 0.0f);
  }
  gemm({.m = height,
        .n = kGroup,
        .k = rows,
        .a = x,
        .a_row = 1,
        .a_col = n_,
        .b = packed,
        .c = product,
        .c_row = kGroup,
        .add = false});
  double* sum = sum_.as<double>() + kGroup * kGroup * group * (group + 1) / 2;
  for (dim i = 0; i < height * kGroup; ++i) sum[i] += double(product[i]);
}

void SecondMoment::add(const float* x, dim rows) {
  const dim groups = (n_ + kGroup - 1) / kGroup;
  const dim pairs = (groups + 1) / 2;  // a short one and a tall one: equal work
  for (dim begin = 0; begin < rows; begin += kPiece) {
    const dim count = std::min(kPiece, rows - begin);
    parallel_ranges(pairs, 1, [&](dim first, dim last) {
      std::vector<float> packed(std::size_t(kPiece * kGroup)), product(std::size_t(groups * kGroup * kGroup));
      for (dim p = first; p < last; ++p) {
        add_group(x + begin * n_, count, p, packed.data(), product.data());
        if (groups - 1 - p != p) add_group(x + begin * n_, count, groups - 1 - p, packed.data(), product.data());
      }
    });
  }
  rows_ += rows;
}

SecondMoment SecondMoment::copy() const {
  SecondMoment out(n_);
  std::memcpy(out.sum_.data(), sum_.data(), std::size_t(sum_.size_bytes()));
  out.rows_ = rows_;
  return out;
}

void SecondMoment::clear() {
  parallel_ranges(sum_.size_bytes() / dim(sizeof(double)), dim(1) << 15,
                  [&](dim begin, dim end) { std::fill(sum_.as<double>() + begin, sum_.as<double>() + end, 0.0); });
  rows_ = 0;
}

void SecondMoment::add_in_order(const SecondMoment& part, Group& group, int parts) {
  const auto n = std::size_t(sum_.size_bytes()) / sizeof(double);
  group.add_in_order(std::span(part.sum_.as<double>(), n), {sum_.as<double>(), n}, parts);
  auto rows = double(rows_);
  const auto more = double(part.rows_);
  group.add_in_order(std::span(&more, 1), {&rows, 1}, parts);
  rows_ = dim(rows);
}

void SecondMoment::divide(const float* factors) {
  parallel_for((n_ + kGroup - 1) / kGroup, [&](dim g) {
    double* sum = sum_.as<double>() + kGroup * kGroup * g * (g + 1) / 2;
    const dim height = std::min(n_, (g + 1) * kGroup), width = height - g * kGroup;
    for (dim i = 0; i < height; ++i)
      for (dim j = 0; j < width; ++j) sum[i * kGroup + j] /= double(factors[i]) * double(factors[g * kGroup + j]);
  });
}

SecondMoment SecondMoment::turned(const Rotation& by) const {
  std::vector<double> m(std::size_t(n_ * n_));
  copy_to(m.data());
  const auto turn_rows = [&] { parallel_for(n_, [&](dim i) { by.apply(m.data() + i * n_); }); };
  turn_rows();  // M Q, whose transpose times Q is Q^T M Q, since M is symmetric
  for (dim i = 0; i < n_; ++i)
    for (dim j = 0; j < i; ++j) std::swap(m[std::size_t(i * n_ + j)], m[std::size_t(j * n_ + i)]);
  turn_rows();
  SecondMoment out(n_);
  out.rows_ = rows_;
  for (dim g = 0; g * kGroup < n_; ++g) {
    double* sum = out.sum_.as<double>() + kGroup * kGroup * g * (g + 1) / 2;
    const dim height = std::min(n_, (g + 1) * kGroup), width = height - g * kGroup;
    for (dim i = 0; i < height; ++i)
      for (dim j = 0; j < width; ++j) sum[i * kGroup + j] = m[std::size_t(i * n_ + g * kGroup + j)];
  }
  return out;
}

void SecondMoment::copy_to(double* out) const {
  parallel_for(
      n_,
      [&](dim i) {
        for (dim j = 0; j < n_; ++j) out[i * n_ + j] = at(i, j);
      },
      16);
}

}  // namespace pith
