// Rows of the formats whose values are small integers (or levels from a short table) times scales, taken apart: what
// the products of kernels/panel.h are made from.
#pragma once
#include "formats/grid.h"
#include "kernels/panel.h"

namespace pith {

struct CodeUnits {
  PanelShape shape;  // cols is of no meaning; a unit is a block
  void (*read)(const std::byte* block, std::uint8_t* codes, PanelUnit& unit);
};

// For rows of `cols` values, made whole units; bits is 0 for formats of other kinds.
PanelShape panel_shape(const Format& f, dim cols);

// Reads the rows of one matrix, unit by unit.
class UnitReader {
 public:
  UnitReader(const Format& f, dim cols) : format_(f), shape_(panel_shape(f, cols)), grid_(grid_of(f, cols)) {}
  const PanelShape& shape() const { return shape_; }
  // codes: shape().unit bytes, to which unit.codes is set.
  void read(const std::byte* row, dim index, std::uint8_t* codes, PanelUnit& unit) const;

 private:
  const Format& format_;
  PanelShape shape_;
  Grid grid_;  // where the format has no units of its own
};

}  // namespace pith
