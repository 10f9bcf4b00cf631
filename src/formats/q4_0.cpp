// q4_0: 32 values in 18 bytes; value = (code - 8) * d.
//   0      2              18
//   | d f16| 16 x (j | j+16 << 4) |
#include "formats/signed_block.h"

namespace pith {

struct Q4_0 : SignedNibbles<4> {
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().q4_0(in, n, out); }
  static void encode_eight(const float* x, std::byte* out) { kernels::eight_block_kernels().q4_0(x, out); }
};

extern const Format format_q4_0 = BlockCodec<Q4_0>::format("q4_0", "4-bit codes, one scale per 32; GGUF", "f16", 2);

}  // namespace pith
