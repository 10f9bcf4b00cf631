// iq4_nl: 32 values in 18 bytes; value = d * table[code], a table that is denser around zero.
//   0       2                      18
//   | d f16 | 16 x (j | j+16 << 4) |
#include "formats/block_codec.h"
#include "formats/iq4_table.h"
#include "kernels/decode.h"
#include "kernels/kquant.h"

namespace pith {

struct Iq4Nl {
  static constexpr dim kBlock = 32, kBytes = 18;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 7, 10); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().table_scale(x, w, kBlock, kIq4Table, plan);
  }
  static void store(Grid d, std::byte* block) { store_f16(block, d); }
  static Grid load(const std::byte* block) { return load_f16(block); }
  static void codes(const float* x, Grid d, std::uint8_t* out) {
    kernels::search_kernels().table_codes(x, kBlock, d, kIq4Table, out);
  }
  static std::uint8_t code(Grid d, float value) {
    const float eight[8] = {value};
    std::uint8_t c[8];
    kernels::search_kernels().table_codes(eight, 8, d, kIq4Table, c);
    return c[0];
  }
  static void pack(const std::uint8_t* codes, std::byte* block) { pack_nibbles(codes, block + 2); }
  static void set(std::byte* block, dim j, std::uint8_t code) { set_nibble(block + 2, j, code); }
  static float value(Grid d, std::uint8_t code) { return kIq4Table[code] * d; }
  static void decode_row(const std::byte* in, dim n, float* out) {
    kernels::decode_kernels().iq4_nl(in, n, kIq4Table, out);
  }

  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    unit.scale = load_u16(block);
    read_nibbles(block + 2, codes);
  }
  static constexpr CodeUnits kUnits = {{.bits = 4, .zero = 128, .levels = kernels::kIq4Codes}, read_unit};
};

extern const Format format_iq4_nl =
    BlockCodec<Iq4Nl>::format("iq4_nl", "4-bit codes into a table, one scale per 32; GGUF", "f16", 20);

}  // namespace pith
