#include "kernels/int8_product.h"

#include <cstdlib>

#define PITH_KERNEL "kernels/int8_product.inc"
#include "kernels/per_isa_vnni.inc"

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

void int8_product(const Int8Product& call) { PITH_PICK_VNNI(has_int8_products(), product(call)); }

float int8_row_product(const Int8Weight& w, dim groups, dim group, const std::int8_t* x, const std::int32_t* x_sums) {
  return PITH_PICK_VNNI(has_int8_products(), row_product(w, groups, group, x, x_sums));
}

float largest_below(const float* x, dim n, float below) {
  return PITH_PICK_VNNI(has_int8_products(), largest(x, n, below));
}

std::int32_t int8_codes(const float* x, dim n, float scale, int top, float below, std::int8_t* out) {
  return PITH_PICK_VNNI(has_int8_products(), codes(x, n, scale, top, below, out));
}

}  // namespace pith
