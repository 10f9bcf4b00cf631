// nvfp4_row: 4-bit floats (E2M1) with an E4M3 scale per 16 values and one float32 scale per row, any row length.
//   | global f32 | E4M3 per 16 values | codes, the even one of each pair in the low nibble |
// value = E2M1(code) * E4M3(scale) * global. The parts lie as in compressed-tensors' nvfp4, but that `global` there is
// of the whole tensor and divides. Rows made here take a power of two, so that bringing all rows to one global only
// shifts the exponents of their scales.
#pragma once
#include "formats/format.h"

namespace pith {

inline constexpr dim kNvfp4Block = 16;

struct Nvfp4RowLayout {
  dim blocks;
  dim scales, codes;  // byte offsets; the global scale is at 0
  dim bytes;
};
Nvfp4RowLayout nvfp4_row_layout(dim n);

}  // namespace pith
