// Rows of the formats whose values are small integers (or levels from a short table) times scales, taken apart: what
// the products of kernels/panel.h are made from.
#pragma once
#include "formats/format.h"
#include "kernels/panel.h"

namespace pith {

struct CodeUnits {
  PanelShape shape;  // cols is of no meaning; a unit is a block
  void (*read)(const std::byte* block, std::uint8_t* codes, PanelUnit& unit);
};

// For rows of `cols` values, made whole units; bits is 0 for formats of other kinds.
PanelShape panel_shape(const Format& f, dim cols);

// Unit `index` of an encoded row of `cols` values; codes: shape.unit bytes, to which unit.codes is set.
void read_unit(const Format& f, const PanelShape& shape, const std::byte* row, dim cols, dim index, std::uint8_t* codes,
               PanelUnit& unit);

}  // namespace pith
