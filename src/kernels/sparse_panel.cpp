#include "kernels/sparse_panel.h"

#include "kernels/expand.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the compiler's own header: operands unused on purpose
#endif

namespace pith::kernels {

// Of the places that a byte's bits are set for, from which of the packed values each of eight takes its own; 128: none.
struct SpreadTable {
  alignas(8) unsigned char from[256][8];
  constexpr SpreadTable() : from() {
    for (int mask = 0; mask < 256; ++mask)
      for (int i = 0, next = 0; i < 8; ++i) from[mask][i] = (unsigned char)(mask >> i & 1 ? next++ : 128);
  }
};
inline constexpr SpreadTable kSpread;

}  // namespace pith::kernels

#define PITH_KERNEL "kernels/sparse_panel.inc"
#include "kernels/per_isa_expand.inc"

namespace pith {

dim put_sparse_unit(const PanelShape& shape, const PanelUnit* rows, std::byte* out) {
  return kernels::scalar::put_sparse(shape, rows, out);
}
void sparse_panel_product(const PanelShape& shape, const std::byte* panel, const std::byte* block, int rows, float* y) {
  PITH_PICK_EXPAND(has_expand(), sparse_product(shape, panel, block, rows, y));
}
void unpack_sparse_panel(const PanelShape& shape, const std::byte* panel, const PanelTile& tile) {
  PITH_PICK_EXPAND(has_expand(), unpack_sparse(shape, panel, tile));
}

}  // namespace pith
