#include "ops/panel_weight.h"

#include <cstring>
#include <vector>

#include "formats/code_units.h"

namespace pith {

PanelWeight panel_weight_of(const Weight& weight) {
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

}  // namespace pith
