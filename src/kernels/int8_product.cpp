#include "kernels/int8_product.h"

#include <cstdlib>

#define PITH_KERNEL "kernels/int8_product.inc"
#include "kernels/per_isa.inc"

#if defined(__x86_64__)
#if defined(__clang__)
_Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512vl,avx512vnni\"))), apply_to = function)")
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512vl,avx512vnni")
#endif
#define PITH_ISA vnni
#define PITH_FMA(a, b, c) ((F8)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define PITH_WITH_AVX2
#define PITH_WITH_VNNI
#include PITH_KERNEL
#undef PITH_WITH_VNNI
#undef PITH_WITH_AVX2
#undef PITH_FMA
#undef PITH_ISA
PITH_END_TARGET
#define PITH_PICK_INT8(x) (has_int8_products() ? kernels::vnni::x : PITH_PICK(active_isa(), x))
#else
#define PITH_PICK_INT8(x) PITH_PICK(active_isa(), x)
#endif

namespace pith {

bool has_int8_products() {
#if defined(__x86_64__)
  static const bool has = [] {
    const char* forced = std::getenv("PITH_FORCE_ISA");
    return !(forced && *forced) && active_isa() == Isa::avx2 && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  }();
  return has;
#else
  return false;
#endif
}

void int8_product(const Int8Product& call) { PITH_PICK_INT8(product(call)); }

float int8_row_product(const Int8Weight& w, dim groups, dim group, const std::int8_t* x, const std::int32_t* x_sums) {
  return PITH_PICK_INT8(row_product(w, groups, group, x, x_sums));
}

float largest_below(const float* x, dim n, float below) { return PITH_PICK_INT8(largest(x, n, below)); }

std::int32_t int8_codes(const float* x, dim n, float scale, int top, float below, std::int8_t* out) {
  return PITH_PICK_INT8(codes(x, n, scale, top, below, out));
}

}  // namespace pith
