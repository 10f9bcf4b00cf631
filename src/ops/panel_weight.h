// Weights as the fast products read them: panels of sixteen rows (kernels/panel.h), about as large as the format's own
// bytes.
#pragma once
#include "core/weight.h"
#include "kernels/panel.h"

namespace pith {

struct PanelWeight {
  PanelShape shape;  // bits 0: there is none
  dim rows = 0, cols = 0;
  const std::byte* data = nullptr;  // panels one after another; the last is filled up with rows of zeros
  dim panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

// The shape alone; bits 0 where the weight's format has no such form.
PanelWeight panel_weight_of(const Weight& weight);
inline dim panel_weight_bytes(const PanelWeight& w) { return w.panels() * panel_bytes(w.shape); }
// Writes panels [first, first + count) to out, on this thread.
void fill_panels(const Encoded& weight, dim first, dim count, std::byte* out);

}  // namespace pith
