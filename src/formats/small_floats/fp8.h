// The FP8 formats; value = E4M3 or E5M2 (code) * scale, a code a byte (formats/small_float.h).
//   fp8_e4m3, fp8_e5m2            a row:    | scale f32 | n codes |
//   fp8_e4m3_g128, fp8_e5m2_g128  per 128:  | scale f32 | 128 codes |
//   fp8_e4m3_cast, fp8_e5m2_cast  a row:    | n codes |, no scale
// Not-a-number codes are never made. Files may hold them; they decode to NaN (or infinity).
#pragma once
#include "formats/format.h"

namespace pith {

inline constexpr dim kFp8ScaleBytes = 4;

}  // namespace pith
