// Element-wise work on rows of activations, single-threaded. Sums run in eight lanes of fixed order, so the same
// instruction set gives the same bits always.
#pragma once
#include "core/base.h"

namespace pith {

// out = (x - mean) / sqrt(variance + eps) * (weight + plus) + bias; `centred` false: without mean and with the mean
// square (RMS norm). weight and bias may be null (1 and 0). Returns false when a value of x is not finite.
struct NormCall {
  const float* x = nullptr;  // (n)
  dim n = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float plus = 0;
  double eps = 1e-5;
  bool centred = false;
  float* out = nullptr;  // may be x
};
bool norm_row(const NormCall& call);

// out = act(gate) * up, or act(gate) where up is null. The forms of activation_kernel.
enum class ActivationKernel { silu, gelu_tanh, gelu_erf, relu };
void activate(ActivationKernel kind, const float* gate, const float* up, dim n, float* out);

// Rotates pairs of the first 2 * half values of x: (i, i + half), or (2i, 2i + 1) for `neighbours`.
void rotate(float* x, const float* cosine, const float* sine, dim half, bool neighbours);

void add_scaled(float* x, const float* y, float scale, dim n);  // x += y * scale
void add(float* x, const float* y, dim n);                      // x += y
void multiply(float* x, float factor, dim n);
void soft_cap(float* x, float cap, dim n);  // x = cap * tanh(x / cap)
bool all_finite(const float* x, dim n);
// In double, over n values; the same bits under each instruction set.
struct ErrorSums {
  double source = 0;  // of source^2
  double error = 0;   // of (source - decoded)^2
};
ErrorSums error_sums(const float* source, const float* decoded, dim n);
dim count_zeros(const float* x, dim n);  // n below 2^34; -0 is one
// x = exp(x - max) / sum; returns nothing else. n >= 1.
void softmax_row(float* x, dim n);

// Attention's softmax over 16 columns at once. s (keys, 16): scores of 16 queries for the keys first_key ...; on return
// s holds exp(s - the column's max), 0 where column i may not see the key, and inverse_sum 1 / the column's sum.
// Column i sees keys in (position[i] - window, position[i]].
struct ColumnSoftmax {
  float* s = nullptr;
  dim keys = 0;
  dim first_key = 0;
  const int* position = nullptr;  // (16)
  int window = 0;                 // 0: none
  float cap = 0;                  // 0: none; else s = cap * tanh(s / cap) first
  float* inverse_sum = nullptr;   // (16)
};
void softmax_columns(const ColumnSoftmax& call);

}  // namespace pith
