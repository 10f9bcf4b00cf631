// q4_1: 32 values in 20 bytes; value = code * d + m.
//   0       2       4                      20
//   | d f16 | m f16 | 16 x (j | j+16 << 4) |
#include "formats/affine_block.h"

namespace pith {

struct Q4_1 : AffineNibbles<4> {
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().q4_1(in, n, out); }
  static void encode_eight(const float* x, std::byte* out) { kernels::eight_block_kernels().q4_1(x, out); }
};

extern const Format format_q4_1 =
    BlockCodec<Q4_1>::format("q4_1", "4-bit codes, scale and minimum per 32; GGUF", "f16", 3);

}  // namespace pith
