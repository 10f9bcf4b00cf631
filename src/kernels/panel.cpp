#include "kernels/panel.h"

#include "kernels/int8_product.h"
#include "kernels/sparse_panel.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the compiler's own header: operands unused on purpose
#endif
#define PITH_KERNEL "kernels/panel.inc"
#include "kernels/per_isa_vnni.inc"

namespace pith {

dim panel_bytes(const PanelShape& s) {
  using Minimum = PanelShape::Minimum;
  dim head = 2;
  if (s.minimum == Minimum::half || s.minimum == Minimum::scaled) head += 2;
  if (s.minimum == Minimum::zero_point) head += 1;
  if (s.sub > 0) head += s.unit / s.sub * (s.minimum == Minimum::scaled ? 2 : 1);
  return s.cols / s.unit * kPanelRows * (head + s.unit * s.bits / 8);
}

void put_panel_unit(const PanelShape& shape, const PanelUnit* rows, dim index, std::byte* panel) {
  PITH_PICK_VNNI(has_int8_products(), put_unit(shape, rows, index, panel));
}
void put_panel_input(const PanelInput& in, const float* x, dim stride, int rows, std::byte* block) {
  PITH_PICK_VNNI(has_int8_products(), put_input(in, x, stride, rows, block));
}
void panel_product(const PanelShape& shape, const std::byte* panel, const std::byte* block, int rows, float* y) {
  if (shape.sparse) return sparse_panel_product(shape, panel, block, rows, y);
  PITH_PICK_VNNI(has_int8_products(), packed_product(shape, panel, block, rows, y));
}
void put_panel_sums(const float* sums, int rows, const PanelOut& out) {
  PITH_PICK_VNNI(has_int8_products(), put_sums(sums, rows, out));
}
void unpack_panel(const PanelShape& shape, const std::byte* panel, const PanelTile& tile) {
  if (shape.sparse) return unpack_sparse_panel(shape, panel, tile);
  PITH_PICK_VNNI(has_int8_products(), unpack(shape, panel, tile));
}
void tile_product(const PanelShape& shape, const PanelTile& tile, const std::byte* block, int rows, float* y) {
  PITH_PICK_VNNI(has_int8_products(), unpacked_product(shape, tile, block, rows, y));
}

}  // namespace pith
