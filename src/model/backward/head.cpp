#include "model/backward/head.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/forward_reserve.h"
#include "ops/parts.h"

namespace pith {

Head::Head(const Network& network) : net_(network), config_(*network.config) {}

float* Head::logits(const float* hidden, std::span<const dim> rows) {
  const dim n = dim(rows.size()), width = config_.hidden, vocab = config_.vocab;
  rows_.assign(rows.begin(), rows.end());
  float *x = reserve(picked_, n * width), *y = reserve(normed_, n * width), *z = reserve(logits_, n * vocab);
  for (dim i = 0; i < n; ++i) std::copy_n(hidden + rows[std::size_t(i)] * width, width, x + i * width);
  const Norm& norm = net_.output_norm;
  if (norm.weight) {
    const bool finite = norm_rows({.x = x,
                                   .n = n,
                                   .cols = width,
                                   .stride = width,
                                   .weight = norm.weight,
                                   .bias = norm.bias,
                                   .layer_norm = config_.norm == NormKind::layer,
                                   .plus_one = config_.norm_plus_one,
                                   .eps = config_.norm_eps,
                                   .out = y,
                                   .out_stride = width});
    if (!finite) throw input_error("gradients", "expected finite activations, got others after the last block");
  } else {
    std::copy_n(x, n * width, y);
  }
  linear({net_.lm_head.weight, net_.lm_head.bias, y, n, z, vocab}, linear_);
  const auto scale = float(config_.logit_scale), cap = float(config_.logit_softcap);
  parallel_ranges(n, grain_of(vocab), [&](dim begin, dim end) {
    if (scale != 1) multiply(z + begin * vocab, scale, (end - begin) * vocab);
    if (cap > 0) soft_cap(z + begin * vocab, cap, (end - begin) * vocab);
  });
  if (cap > 0) std::copy_n(z, n * vocab, reserve(capped_, n * vocab));
  if (!all_finite(z, n * vocab)) throw input_error("gradients", "expected finite logits, got others from lm_head");
  return z;
}

void Head::backward(float* dlogits, float* gradient, float* lm_head, const Gradient& output_norm) {
  const dim n = dim(rows_.size()), width = config_.hidden, vocab = config_.vocab;
  const auto scale = float(config_.logit_scale), cap = float(config_.logit_softcap);
  const float* capped = capped_.as<float>();
  parallel_ranges(n * vocab, grain_of(2), [&](dim begin, dim end) {
    if (scale != 1) multiply(dlogits + begin, scale, end - begin);
    if (cap > 0)
      for (dim i = begin; i < end; ++i) dlogits[i] *= 1 - capped[i] / cap * (capped[i] / cap);
  });
  float *x = picked_.as<float>(), *y = normed_.as<float>(), *dy = reserve(dnormed_, n * width),
        *dx = reserve(dpicked_, n * width);
  linear_backward({.weight = net_.lm_head.weight, .x = y, .dy = dlogits, .n = n, .dx = dy, .dweight = lm_head},
                  linear_backward_);
  const Norm& norm = net_.output_norm;
  if (norm.weight)
    norm_rows_backward({.x = x,
                        .n = n,
                        .cols = width,
                        .weight = norm.weight,
                        .layer_norm = config_.norm == NormKind::layer,
                        .plus_one = config_.norm_plus_one,
                        .eps = config_.norm_eps,
                        .dy = dy,
                        .dx = dx,
                        .dweight = output_norm.weight,
                        .dbias = norm.bias ? output_norm.bias : nullptr},
                       norm_scratch_);
  const float* d = norm.weight ? dx : dy;
  for (dim i = 0; i < n; ++i) std::copy_n(d + i * width, width, gradient + rows_[std::size_t(i)] * width);
}

}  // namespace pith
