#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "formats/format.h"
#include "formats/sparse_rows.h"
#include "model/exchange/layout.h"
#include "model/export/parts.h"

namespace pith {

namespace {

std::string_view dtype_of(const Format& f) {
  if (&f == &f32_format()) return "F32";
  return &f == &f16_format() ? "F16" : "BF16";
}

// One stored tensor, and which outgoing one it belongs to.
struct Stored {
  std::size_t owner;
  std::string literal;                                    // its bytes when known
  std::optional<Slot> ExportTensor::*outliers = nullptr;  // null: one of the tensor's slots
  bool act_scale = false;
};

SafeTensor dense_tensor(const Outgoing& t) {
  SafeTensor out;
  out.name = t.name;
  out.dtype = dtype_of(*t.format);
  out.shape = t.shape;
  out.size_bytes = dtype_bits(out.dtype) / 8;
  for (const dim d : t.shape) out.size_bytes *= d;
  return out;
}

// weight_shape's content is known now. It is written with the head as well, because it leads the file and the head
// must be able to reach past it.
std::string shape_bytes(const Outgoing& t) {
  const std::int64_t shape[2] = {t.shape[0], t.shape[1]};
  return {reinterpret_cast<const char*>(shape), sizeof shape};
}

void add_outliers(const Outgoing& t, std::size_t owner, std::vector<SafeTensor>& stored, std::vector<Stored>& notes) {
  const OutlierShape& o = t.tensor.outliers;
  if (o.per_row == 0) return;
  const std::string base = module_name(t.name);
  stored.push_back(stored_part(base + std::string(kOutlierColumns), index_bytes(t.shape[1]) == 2 ? "I16" : "I32",
                               {o.whole_columns ? 1 : t.shape[0], o.per_row}));
  notes.push_back({owner, {}, &ExportTensor::outlier_columns, false});
  stored.push_back(stored_part(base + std::string(kOutlierValues), "F16", {t.shape[0], o.per_row}));
  notes.push_back({owner, {}, &ExportTensor::outlier_values, false});
}

void add_sparse(const Outgoing& t, std::size_t owner, std::vector<SafeTensor>& stored, std::vector<Stored>& notes) {
  const dim rows = t.shape[0], cols = t.shape[1];
  const SparseSizes sizes = sparse_sizes(*t.tensor.sparse, *t.format, rows, cols);
  const std::string base = module_name(t.name);
  const auto part = [&](std::string_view ending, std::vector<dim> shape) {
    stored.push_back(stored_part(base + std::string(ending), "U8", std::move(shape)));
    notes.push_back({owner, {}, {}, false});
  };
  part(kSparsePositions, {rows, sizes.positions / rows});
  if (sizes.scales > 0) part(kSparseScales, {rows, sizes.scales / rows});
  part(kSparseValues, {sizes.values});
}

void collect(const Layout& layout, bool act_scales, std::span<Outgoing> tensors, std::vector<SafeTensor>& stored,
             std::vector<Stored>& notes) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Outgoing& t = tensors[i];
    if (t.tensor.sparse) {
      add_sparse(t, i, stored, notes);
      continue;
    }
    if (is_dense_format(*t.format)) {
      stored.push_back(dense_tensor(t));
      notes.push_back({i, t.literal, {}, false});
      continue;
    }
    t.tensor.layout = &layout;
    for (SafeTensor& part : layout.parts(module_name(t.name), *t.format, t.shape[0], t.shape[1])) {
      notes.push_back({i, part.dtype == "I64" ? shape_bytes(t) : std::string(), {}, false});
      stored.push_back(std::move(part));
    }
    add_outliers(t, i, stored, notes);
    if (!act_scales || !is_linear(t.role)) continue;
    notes.push_back({i, {}, {}, true});
    stored.push_back(stored_part(std::string(module_name(t.name)) + ".input_scale", "F32", {1}));
  }
}

// The head of a file with the known tensors that lead it.
std::string head_of(const ShardLayout& shard, std::span<const Stored> notes) {
  std::string head = shard.layout.head;
  std::vector<std::pair<dim, std::size_t>> order;
  for (std::size_t i = 0; i < shard.tensors.size(); ++i)
    order.emplace_back(shard.layout.offsets_bytes[i], shard.tensors[i]);
  std::sort(order.begin(), order.end());
  for (const auto& [offset, index] : order) {
    if (notes[index].literal.empty()) break;
    PITH_CHECK(offset == dim(head.size()));
    head += notes[index].literal;
  }
  return head;
}

}  // namespace

void plan_hf(const Model& model, std::span<Outgoing> tensors, dim max_shard_bytes, ExportPlan& plan) {
  std::vector<const Format*> packed;
  for (const Outgoing& t : tensors)
    if (!is_dense_format(*t.format)) packed.push_back(t.format);
  const Layout& packing = layout_of(plan.container, packed, plan.run_time.activations.plan());
  plan.side_files = hf_side_files(model, packing, tensors, plan.run_time);
  std::vector<SafeTensor> stored;
  std::vector<Stored> notes;
  collect(packing, plan.run_time.activations.plan().fixed, tensors, stored, notes);
  SafetensorsLayout layout = safetensors_layout(stored, max_shard_bytes);
  std::vector<Slot> slot_of(stored.size());
  for (std::size_t file = 0; file < layout.shards.size(); ++file) {
    const ShardLayout& shard = layout.shards[file];
    plan.files.push_back({shard.file_name, head_of(shard, notes), shard.layout.total_bytes});
    for (std::size_t i = 0; i < shard.tensors.size(); ++i) {
      const SafeTensor& t = stored[shard.tensors[i]];
      const dim offset = shard.layout.offsets_bytes[i];
      slot_of[shard.tensors[i]] = {file, t.name, offset, t.size_bytes, notes[shard.tensors[i]].act_scale};
      const Outgoing& owner = tensors[notes[shard.tensors[i]].owner];
      PITH_CHECK(owner.literal.empty() || offset + t.size_bytes <= dim(plan.files.back().head.size()));
    }
  }
  for (std::size_t i = 0; i < stored.size(); ++i) {
    ExportTensor& owner = tensors[notes[i].owner].tensor;
    if (notes[i].outliers)
      owner.*notes[i].outliers = std::move(slot_of[i]);
    else
      owner.slots.push_back(std::move(slot_of[i]));
  }
  if (!layout.index_json.empty())
    plan.side_files.push_back({"model.safetensors.index.json", std::move(layout.index_json)});
}

}  // namespace pith
