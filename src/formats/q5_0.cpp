// q5_0: 32 values in 22 bytes; value = (code - 16) * d.
//   0       2                  6                     22
//   | d f16 | 32 x bit 4 of j  | 16 x (j | j+16 << 4) |
#include "formats/signed_block.h"

namespace pith {

struct Q5_0 : SignedNibbles<5> {
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().q5_0(in, n, out); }
  static void encode_eight(const float* x, std::byte* out) { kernels::eight_block_kernels().q5_0(x, out); }
};

extern const Format format_q5_0 = BlockCodec<Q5_0>::format("q5_0", "5-bit codes, one scale per 32; GGUF", "f16", 6);

}  // namespace pith
