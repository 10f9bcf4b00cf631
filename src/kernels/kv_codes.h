// Codes of 2, 3, 4 or 8 bits in a stream, low bits first, as an encoded cache of keys and values holds them; any n.
#pragma once
#include "core/base.h"
#include "kernels/isa.h"

namespace pith::kernels {

struct KvKernels {
  void (*affine)(const std::byte* in, dim n, int bits, float scale, float min, float* out);  // code * scale + min
  // The same with a scale and a minimum for each code.
  void (*affine_each)(const std::byte* in, dim n, int bits, const float* scale, const float* min, float* out);
  // levels[code] * scale + min, each of them its own; up to 4 bits, `levels` has 16.
  void (*levels_each)(const std::byte* in, dim n, int bits, const float* levels, const float* scale, const float* min,
                      float* out);
};

const KvKernels& kv_kernels(Isa isa);
inline const KvKernels& kv_kernels() { return kv_kernels(active_isa()); }

}  // namespace pith::kernels
