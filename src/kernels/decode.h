// Rows of the simple formats to float32, and float32 to 16-bit floats. Layouts: the formats' own files.
// n is a whole number of blocks; pointers are unaligned.
#pragma once
#include "core/base.h"
#include "kernels/isa.h"

namespace pith::kernels {

struct DecodeKernels {
  using Row = void (*)(const std::byte* in, dim n, float* out);
  Row f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1;
  void (*iq4_nl)(const std::byte* in, dim n, const float* table, float* out);
  Row mxfp4;
  // Rounds to nearest even, as core/half.h does.
  void (*to_f16)(const float* x, dim n, std::byte* out);
  void (*to_bf16)(const float* x, dim n, std::byte* out);
  // (code - zero) * scale for n codes of 2 to 8 bits in a stream, low bits first; any n.
  void (*int_codes)(const std::byte* in, dim n, int bits, int zero, float scale, float* out);
};

const DecodeKernels& decode_kernels(Isa isa);
inline const DecodeKernels& decode_kernels() { return decode_kernels(active_isa()); }

}  // namespace pith::kernels
