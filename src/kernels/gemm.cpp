#include "kernels/gemm.h"

#define PITH_KERNEL "kernels/gemm.inc"
#include "kernels/per_isa.inc"

namespace pith {

void gemm(const GemmCall& call) { PITH_PICK(active_isa(), gemm(call)); }

void pack_group(const float* rows, dim stride, dim count, dim k, float* group) {
  PITH_PICK(active_isa(), pack_group(rows, stride, count, k, group));
}

float dot(const float* a, const float* b, dim n) { return PITH_PICK(active_isa(), dot_f32(a, b, n)); }
float dot_bf16(const float* a, const std::byte* b, dim n) { return PITH_PICK(active_isa(), dot_bf16(a, b, n)); }
float dot_f16(const float* a, const std::byte* b, dim n) { return PITH_PICK(active_isa(), dot_f16(a, b, n)); }

}  // namespace pith
