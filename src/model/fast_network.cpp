#include "model/fast_network.h"

#include <cstring>
#include <tuple>

#include "core/memory.h"
#include "core/parallel.h"
#include "formats/sparse.h"

namespace pith {

namespace {
constexpr dim kAlign = 64;
}  // namespace

FastNetwork::FastNetwork(const Model& model, const ActPlan* act, bool exact)
    : network_(Network::of(model, act)), blocks_(model.blocks().begin(), model.blocks().end()) {
  network_.blocks = blocks_;
  if (exact) return;
  list_all();
  const dim available = available_ram_bytes();
  if (available > 0 && bytes_ > available / 10 * 9) {
    stored_.clear();
    panel_bytes_ = 0;
    network_ = Network::of(model, act);
    return;
  }
  std::map<const std::byte*, const ModelTensor*> sources;
  for (const ModelTensor& t : model.tensors()) sources.emplace(t.sparse ? t.sparse->positions : t.weight.data, &t);
  arena_ = Buffer(bytes_);
  for (Stored& s : stored_) {
    fill(s);
    const auto source = sources.find(s.sparse ? s.sparse->positions : s.from->data);
    if (source != sources.end()) model.release(*source->second);
  }
}

void FastNetwork::list_all() {
  list(network_.lm_head);
  for (Block& b : blocks_) {
    for (Linear* l : {&b.q, &b.k, &b.v, &b.qkv, &b.o, &b.gate, &b.up, &b.gate_up, &b.down}) list(*l);
    for (Expert& e : b.experts)
      for (Linear* l : {&e.gate, &e.up, &e.down}) list(*l);
    for (Linear* l : {&b.shared.gate, &b.shared.up, &b.shared.down}) list(*l);
  }
}

void FastNetwork::list(Linear& linear) {
  if (!linear.weight) return;
  const ActPlan* act = network_.act ? network_.act : linear.act;
  const bool rounds = act && act->on();
  list(linear.weight, linear.panels, !linear.turn && (linear.inner || !rounds));
  if (linear.inner) list(linear.inner, linear.inner_panels, !rounds);
}

void FastNetwork::list(const Weight*& weight, const PanelWeight*& as_panels, bool panels) {
  const auto [at, is_new] = listed_.try_emplace(weight, weight, nullptr);
  if (is_new) list_new(at->second.first, at->second.second, panels);
  std::tie(weight, as_panels) = at->second;
}

void FastNetwork::list_new(const Weight*& weight, const PanelWeight*& as_panels, bool panels) {
  if (const auto* s = std::get_if<Sparse>(weight)) return list_sparse(*s, weight, as_panels, panels);
  const auto* e = std::get_if<Encoded>(weight);
  if (!e) return;
  Stored& s = stored_.emplace_back(Stored{e, nullptr, panel_weight_of(*weight), {}, {}, bytes_});
  dim bytes = e->rows * row_bytes(*e->format, e->cols);
  if (s.panels.shape.bits > 0 && panels) {
    bytes = panel_weight_bytes(s.panels);
    panel_bytes_ += bytes;
    as_panels = &s.panels;
  } else {
    s.panels = {};
    weight = &s.copy;
  }
  bytes_ += (bytes + kAlign - 1) / kAlign * kAlign;
}

void FastNetwork::list_sparse(const Sparse& sparse, const Weight*& weight, const PanelWeight*& as_panels, bool panels) {
  if (sparse.layout == SparseLayout::listed) return;
  Stored& s = stored_.emplace_back(Stored{nullptr, &sparse, panel_weight_of(*weight), {}, {}, bytes_});
  dim bytes = 0;
  if (s.panels.shape.bits > 0 && panels) {
    s.starts.push_back(0);
    for (dim p = 0; p < s.panels.panels(); ++p)
      s.starts.push_back(s.starts.back() + fill_sparse_panel(sparse, p, nullptr));
    bytes = s.starts.back() + kAlign;  // readers look further
    panel_bytes_ += bytes;
    as_panels = &s.panels;
  } else {
    const SparseSizes sizes = sparse_sizes(sparse);
    bytes = sizes.positions + kAlign + sizes.values + kAlign;
    s.panels = {};
    weight = &s.copy;
  }
  bytes_ += (bytes + kAlign - 1) / kAlign * kAlign;
}

void FastNetwork::fill_sparse(Stored& s, std::byte* to) {
  if (s.panels.shape.bits > 0) {
    s.panels.data = to;
    s.panels.starts = s.starts.data();
    parallel_ranges(s.panels.panels(), 4, [&](dim begin, dim end) {
      for (dim p = begin; p < end; ++p) fill_sparse_panel(*s.sparse, p, to + s.starts[std::size_t(p)]);
    });
    return;
  }
  const SparseSizes sizes = sparse_sizes(*s.sparse);
  Sparse copy = view_of(*s.sparse);
  std::byte* values = to + (sizes.positions + kAlign - 1) / kAlign * kAlign;
  std::memcpy(to, copy.positions, std::size_t(sizes.positions));
  std::memcpy(values, copy.values.data, std::size_t(sizes.values));
  copy.positions = to;
  copy.values.data = values;
  s.copy = std::move(copy);
}

void FastNetwork::fill(Stored& s) {
  std::byte* to = arena_.data() + s.offset;
  if (s.sparse) return fill_sparse(s, to);
  if (s.panels.shape.bits > 0) {
    s.panels.data = to;
    const dim each = pith::panel_bytes(s.panels.shape);
    parallel_ranges(s.panels.panels(), 4,
                    [&](dim begin, dim end) { fill_panels(*s.from, begin, end - begin, to + begin * each); });
    return;
  }
  const dim each = row_bytes(*s.from->format, s.from->cols);
  parallel_ranges(s.from->rows, 64, [&](dim begin, dim end) {
    std::memcpy(to + begin * each, s.from->data + begin * each, std::size_t((end - begin) * each));
  });
  Encoded copy;
  copy.format = s.from->format;
  copy.rows = s.from->rows;
  copy.cols = s.from->cols;
  copy.data = to;
  s.copy = std::move(copy);
}

}  // namespace pith
