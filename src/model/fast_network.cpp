#include "model/fast_network.h"

#include <map>

#include "core/parallel.h"

namespace pith {

namespace {
constexpr dim kAlign = 64;
}  // namespace

FastNetwork::FastNetwork(const Model& model, const ActPlan* act, bool exact)
    : network_(Network::of(model, act)), blocks_(model.blocks().begin(), model.blocks().end()) {
  network_.blocks = blocks_;
  if (exact) return;
  list(network_.lm_head);
  for (Block& b : blocks_) {
    for (Linear* l : {&b.q, &b.k, &b.v, &b.qkv, &b.o, &b.gate, &b.up, &b.gate_up, &b.down}) list(*l);
    for (Expert& e : b.experts)
      for (Linear* l : {&e.gate, &e.up, &e.down}) list(*l);
    for (Linear* l : {&b.shared.gate, &b.shared.up, &b.shared.down}) list(*l);
  }
  std::map<const std::byte*, const ModelTensor*> sources;
  for (const ModelTensor& t : model.tensors()) sources.emplace(t.weight.data, &t);
  arena_ = Buffer(bytes_);
  for (Packed& p : packed_) {
    fill(p);
    const auto source = sources.find(p.from->data);
    if (source != sources.end()) model.release(*source->second);
  }
}

void FastNetwork::list(Linear& linear) {
  if (!linear.weight) return;
  const PanelWeight panels = panel_weight_of(*linear.weight);
  if (panels.shape.bits == 0) return;
  packed_.push_back({&std::get<Encoded>(*linear.weight), panels, bytes_});
  bytes_ += (panel_weight_bytes(panels) + kAlign - 1) / kAlign * kAlign;
  linear.panels = &packed_.back().panels;
}

void FastNetwork::fill(Packed& p) {
  std::byte* to = arena_.data() + p.offset;
  p.panels.data = to;
  const dim each = panel_bytes(p.panels.shape);
  parallel_ranges(p.panels.panels(), 4, [&](dim begin, dim end) {
    fill_panels(*p.from, begin, end - begin, to + begin * each);
  });
}

}  // namespace pith
