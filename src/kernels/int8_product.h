// Products of 8-bit codes, summed exactly in int32 and scaled in f32 group by group. Unlike the kernels of f32, those
// of every instruction set give the same bits. On processors with AVX512-VNNI there is a text for its products, which
// PITH_FORCE_ISA turns off.
#pragma once
#include "core/base.h"

namespace pith {

inline constexpr dim kInt8Width = 16;                   // rows of a packed weight
inline constexpr dim kInt8LongestGroup = dim(1) << 16;  // beyond it sums of 255 * 128 might pass 2^31

// Codes of a weight's rows: value = (code - zero) * scale + min, each of a group of columns.
struct Int8Weight {
  const std::uint8_t* codes = nullptr;
  const float* scale = nullptr;
  const std::int32_t* zero = nullptr;
  const float* min = nullptr;  // null: 0
};

// y = sum over groups of float(sum x * (code - zero)) * scale + min * float(sum x).
struct Int8Product {
  Int8Weight w;  // 16 rows: codes (groups, group / 4, 16, 4), the others (groups, 16)
  dim groups = 0;
  dim group = 0;                         // columns of a group, a multiple of 4
  const std::int8_t* x = nullptr;        // (m, groups * group)
  const std::int32_t* x_sums = nullptr;  // (m, groups)
  dim m = 0;
  float* y = nullptr;  // (m, 16)
};
void int8_product(const Int8Product& call);

// The same for one row of each: w.codes (groups * group), the others (groups).
float int8_row_product(const Int8Weight& w, dim groups, dim group, const std::int8_t* x, const std::int32_t* x_sums);

// Largest |x| below `below`, or 0; what is not a number is not seen.
float largest_below(const float* x, dim n, float below);

// code = x / scale to the nearest whole number, ties to even, in [-top - 1, top]; 0 where |x| is not below `below`.
// Returns the codes' sum. scale > 0.
std::int32_t int8_codes(const float* x, dim n, float scale, int top, float below, std::int8_t* codes);

bool has_int8_products();  // AVX512-VNNI is used

}  // namespace pith
