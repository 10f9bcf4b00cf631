// q5_1: 32 values in 24 bytes; value = code * d + m.
//   0       2       4                 8                      24
//   | d f16 | m f16 | 32 x bit 4 of j | 16 x (j | j+16 << 4) |
#include "formats/affine_block.h"

namespace pith {

struct Q5_1 : AffineNibbles<5> {
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().q5_1(in, n, out); }
  static void encode_eight(const float* x, std::byte* out) { kernels::eight_block_kernels().q5_1(x, out); }
};

extern const Format format_q5_1 =
    BlockCodec<Q5_1>::format("q5_1", "5-bit codes, scale and minimum per 32; GGUF", "f16", 7);

}  // namespace pith
