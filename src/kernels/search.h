// Searches for the scale (and minimum) of one block, and the rounding of its values to codes. Scales and
// minimums come back as numbers that float16 can hold, so that codes are always computed on the stored scale.
// All pointers are to n values, unaligned; w is null for equal weights; `affine` takes multiples of 8. Results are
// finite for finite input.
#pragma once
#include "core/base.h"
#include "kernels/isa.h"

namespace pith::kernels {

enum class Aim { best, minmax, lp };  // as formats/format.h's RangeSearch
struct SearchPlan {
  Aim aim = Aim::best;
  float p = 2.4f;
  int steps = 80;
  int effort = 0;  // candidates tried on each side of the plain range where the aim is `best`
};

struct Affine {  // value = code * scale + min
  float scale;
  float min;
};
struct ZeroPoint {  // value = (code - zero) * scale
  float scale;
  int zero;
};

struct SearchKernels {
  // value = code * scale, code in [low, -low - 1]; the extreme value gets the code `low`, so scales may be negative.
  float (*signed_scale)(const float* x, const float* w, dim n, int low, const SearchPlan&);
  // As above with codes in [-top, top] and a positive scale.
  float (*even_scale)(const float* x, const float* w, dim n, int top, const SearchPlan&);
  Affine (*affine)(const float* x, const float* w, dim n, int top, const SearchPlan&);         // code in [0, top]
  ZeroPoint (*zero_point)(const float* x, const float* w, dim n, int top, const SearchPlan&);  // code, zero in [0, top]
  // value = table[code] * scale for 16 ascending table values.
  float (*table_scale)(const float* x, const float* w, dim n, const float* table, const SearchPlan&);
  // value = E2M1 * 2^exponent for the 16 codes of OCP MXFP4; the exponent in [-127, 127].
  int (*mx_exponent)(const float* x, const float* w, dim n, const SearchPlan&);
  // value = E2M1 * the UE4M3 of the code in [0, 126] that comes back; 16 values.
  int (*fp4_scale)(const float* x, const float* w, const SearchPlan&);

  // code - low for the code in [low, top] nearest to (x - min) / scale.
  void (*codes)(const float* x, dim n, float scale, float min, int low, int top, std::uint8_t* out);
  void (*table_codes)(const float* x, dim n, float scale, const float* table, std::uint8_t* out);
  void (*mx_codes)(const float* x, dim n, int exponent, std::uint8_t* out);  // sign in bit 3
  void (*fp4_codes)(const float* x, int scale, std::uint8_t* out);           // 16 values; sign in bit 3

  // The sum of w * |unit * (x - y)|^p, to compare candidates by: weights are first divided by their largest. `unit`
  // is to bring unit * (x - y) near [-1, 1].
  float (*distance)(const float* x, const float* y, const float* w, dim n, float unit, float p);
};

const SearchKernels& search_kernels(Isa isa);
inline const SearchKernels& search_kernels() { return search_kernels(active_isa()); }

// 1 / scale, and 0 for a scale of 0.
inline float inverse(float scale) { return scale == 0 ? 0.0f : 1.0f / scale; }

}  // namespace pith::kernels
