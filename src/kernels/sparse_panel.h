// Panels (kernels/panel.h) without the codes that stand for zero, for a symmetric grid of at most 8 bits. After a
// unit's scales, for each 32 columns: 8 masks of 64 bits, one for 4 columns of the 16 rows in the order of the dense
// panel, and the codes that their bits are set for: bytes, or of 4 bits two in a byte, each mask's beginning with a new
// one. Products give the bits of the dense panel.
#pragma once
#include "kernels/panel.h"

namespace pith {

void sparse_panel_product(const PanelShape& shape, const std::byte* panel, const std::byte* block, int rows, float* y);
void unpack_sparse_panel(const PanelShape& shape, const std::byte* panel, const PanelTile& tile);

}  // namespace pith
