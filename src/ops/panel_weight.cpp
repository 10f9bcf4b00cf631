#include "ops/panel_weight.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "formats/code_units.h"
#include "formats/sparse_rows.h"

namespace pith {

static PanelWeight sparse_panels_of(const Sparse& s) {
  if (s.layout == SparseLayout::listed || !(s.layout == SparseLayout::two_of_four || s.scales)) return {};
  const Format& f = *s.values.format;
  const Grid grid = grid_of(f, s.layout == SparseLayout::bitmask ? s.cols : s.values.cols);
  if (grid.kind != GridKind::symmetric) return {};
  PanelShape shape;
  const dim group = grid.group * s.cols / (s.layout == SparseLayout::bitmask ? s.cols : s.values.cols);
  shape.cols = (s.cols + kPanelStep - 1) / kPanelStep * kPanelStep;
  shape.unit = group == s.cols ? shape.cols : group;
  if (shape.unit % kPanelStep != 0 || shape.cols % shape.unit != 0) return {};
  shape.bits = grid.bits == 4 ? 4 : 8;  // codes of other lengths are bytes here
  shape.zero = 1 << (grid.bits - 1);
  shape.sparse = true;
  return {shape, s.rows, s.cols, nullptr};
}

PanelWeight panel_weight_of(const Weight& weight) {
  if (const auto* s = std::get_if<Sparse>(&weight)) return sparse_panels_of(*s);
  const auto* e = std::get_if<Encoded>(&weight);
  if (!e) return {};
  return {panel_shape(*e->format, e->cols), e->rows, e->cols, nullptr};
}

void fill_panels(const Encoded& weight, dim first, dim count, std::byte* out) {
  const UnitReader reader(*weight.format, weight.cols);
  const PanelShape& shape = reader.shape();
  const dim bytes = row_bytes(*weight.format, weight.cols), each = panel_bytes(shape);
  std::vector<std::uint8_t> codes(std::size_t(kPanelRows * shape.unit));
  PanelUnit units[kPanelRows];
  for (dim p = first; p < first + count; ++p, out += each)
    for (dim u = 0; u < shape.cols / shape.unit; ++u) {
      for (dim r = 0; r < kPanelRows; ++r) {
        std::uint8_t* at = codes.data() + r * shape.unit;
        const dim row = p * kPanelRows + r;
        if (row < weight.rows) {
          reader.read(weight.data + row * bytes, u, at, units[r]);
        } else {
          std::memset(at, 0, std::size_t(shape.unit));
          units[r] = {.codes = at};
        }
      }
      put_panel_unit(shape, units, u, out);
    }
}

static dim most_sparse_bytes(const Sparse& s, const PanelShape& shape, dim panel) {
  const dim heads = shape.cols / shape.unit * 2 * kPanelRows, masks = shape.cols / 4 * 8;
  const dim first = panel * kPanelRows, last = std::min(s.rows, first + kPanelRows);
  const dim kept = s.row_starts ? s.row_starts[last] - s.row_starts[first] : (last - first) * s.values.cols;
  return heads + masks + (shape.bits == 4 ? (kept + shape.cols / 4) / 2 : kept);
}

dim fill_sparse_panel(const Sparse& s, dim panel, std::byte* out) {
  const PanelShape shape = sparse_panels_of(s).shape;
  if (!out) return most_sparse_bytes(s, shape, panel);
  const dim units = shape.cols / shape.unit;
  std::vector<std::uint8_t> codes(std::size_t(kPanelRows * shape.cols), std::uint8_t(shape.zero));
  std::vector<std::uint16_t> scales(std::size_t(kPanelRows * units));
  for (dim r = 0; r < kPanelRows && panel * kPanelRows + r < s.rows; ++r)
    sparse_row_codes(s, panel * kPanelRows + r, scales.data() + r * units, codes.data() + r * shape.cols);
  std::byte* at = out;
  PanelUnit unit[kPanelRows];
  for (dim u = 0; u < units; ++u) {
    for (dim r = 0; r < kPanelRows; ++r) {
      unit[r] = {};
      unit[r].scale = scales[std::size_t(r * units + u)];
      unit[r].codes = codes.data() + r * shape.cols + u * shape.unit;
    }
    at += put_sparse_unit(shape, unit, at);
  }
  return at - out;
}

}  // namespace pith
