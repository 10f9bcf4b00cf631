#include "kernels/peaks.h"

#include "kernels/int8_product.h"

#define PITH_KERNEL "kernels/peaks.inc"
#include "kernels/per_isa_vnni.inc"

namespace pith {

double peak_f32(dim rounds) { return PITH_PICK_VNNI(has_int8_products(), f32(rounds)); }
double peak_int8(dim rounds) { return PITH_PICK_VNNI(has_int8_products(), int8(rounds)); }
std::uint64_t read_through(const std::byte* data, dim bytes) {
  return PITH_PICK_VNNI(has_int8_products(), through(data, bytes));
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) static double bf16_loop(dim rounds) {
  __m512 sum[10];
  for (auto& s : sum) s = _mm512_set1_ps(0);
  __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (dim i = 0; i < rounds * 100; ++i)
#pragma GCC unroll 10
    for (auto& s : sum) {
      s = _mm512_dpbf16_ps(s, x, x);
      asm volatile("" : "+v"(s));
    }
  return double(rounds) * 1000 * 32 * 2;
}
double peak_bf16(dim rounds) {
  return has_int8_products() && __builtin_cpu_supports("avx512bf16") ? bf16_loop(rounds) : 0;
}
#else
double peak_bf16(dim) { return 0; }
#endif

}  // namespace pith
