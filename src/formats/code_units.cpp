#include "formats/code_units.h"

#include <cstring>

namespace pith {

namespace {

dim in_steps(dim cols) { return (cols + kPanelStep - 1) / kPanelStep * kPanelStep; }

PanelShape::Minimum minimum_of(GridKind kind) {
  if (kind == GridKind::minimum) return PanelShape::Minimum::half;
  return kind == GridKind::zero_point ? PanelShape::Minimum::zero_point : PanelShape::Minimum::none;
}

}  // namespace

PanelShape panel_shape(const Format& f, dim cols) {
  PanelShape shape;
  if (cols == 0 || !fits(f, cols)) return shape;
  if (f.units) {
    shape = f.units->shape;
    shape.unit = f.block;
    shape.cols = cols;
    return shape;
  }
  const Grid grid = grid_of(f, cols);
  const dim unit = grid.group == cols ? in_steps(cols) : grid.group;  // a row that is one group is padded
  if (grid.kind == GridKind::none || unit % kPanelStep != 0) return shape;
  shape.bits = grid.bits == 7 ? 8 : grid.bits;  // 7 have no planes of their own
  shape.unit = unit;
  shape.cols = in_steps(cols);
  shape.zero = grid.kind == GridKind::symmetric ? 1 << (grid.bits - 1) : 0;
  shape.minimum = minimum_of(grid.kind);
  return shape;
}

void UnitReader::read(const std::byte* row, dim index, std::uint8_t* codes, PanelUnit& unit) const {
  unit.codes = codes;
  if (format_.units) return format_.units->read(row + index * format_.block_bytes, codes, unit);
  const GridGroup group = read_group(format_, grid_, row, index, codes);
  std::memset(codes + grid_.group, 0, std::size_t(shape_.unit - grid_.group));
  unit.scale = group.scale_bits;
  unit.minimum = grid_.kind == GridKind::minimum ? group.min_bits : std::uint16_t(group.zero);
}

}  // namespace pith
