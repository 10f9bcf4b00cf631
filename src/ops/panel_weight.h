// Weights as the fast products read them: panels of sixteen rows (kernels/panel.h), about as large as the format's own
// bytes.
#pragma once
#include "core/weight.h"
#include "kernels/panel.h"

namespace pith {

struct PanelWeight {
  PanelShape shape;  // bits 0: there is none
  dim rows = 0, cols = 0;
  const std::byte* data = nullptr;       // panels one after another; the last is filled up with rows of zeros
  const std::int64_t* starts = nullptr;  // sparse: where each panel begins, and the end, in bytes: (panels + 1)
  dim panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

// The shape alone; bits 0 where the weight's format has no such form.
PanelWeight panel_weight_of(const Weight& weight);
inline const std::byte* panel_at(const PanelWeight& w, dim panel) {
  return w.data + (w.starts ? w.starts[panel] : panel * panel_bytes(w.shape));
}
inline dim panel_weight_bytes(const PanelWeight& w) { return w.panels() * panel_bytes(w.shape); }
// Writes panels [first, first + count) to out, on this thread.
void fill_panels(const Encoded& weight, dim first, dim count, std::byte* out);
// A sparse panel's bytes; out null: the most it may take, by its positions.
dim fill_sparse_panel(const Sparse& weight, dim panel, std::byte* out);

}  // namespace pith
