#include <algorithm>
#include <map>

#include "core/error.h"
#include "formats/format.h"
#include "io/printable.h"
#include "model/config_gguf.h"
#include "model/export/parts.h"
#include "model/open/hf_folder.h"

namespace pith {

namespace {

struct FileType {
  std::string_view format;
  std::uint32_t id;
};
// llama.cpp's numbers for "mostly ..."; the k-quants' are those of their medium mixtures.
constexpr FileType kFileTypes[] = {
    {"f32", 0},     {"f16", 1},     {"q4_0", 2},  {"q4_1", 3},   {"q8_0", 7},   {"q5_0", 8},
    {"q5_1", 9},    {"q2_k", 10},   {"q3_k", 12}, {"q4_k", 15},  {"q5_k", 17},  {"q6_k", 18},
    {"iq4_nl", 25}, {"iq4_xs", 30}, {"bf16", 32}, {"tq1_0", 36}, {"tq2_0", 37}, {"mxfp4", 38},
};

dim values_in(const Outgoing& t) {
  dim n = 1;
  for (const dim d : t.shape) n *= d;
  return n;
}

// The format that holds most of the linear layers' values.
const Format* main_format(std::span<const Outgoing> tensors) {
  std::map<std::string_view, std::pair<dim, const Format*>> held;
  for (const Outgoing& t : tensors)
    if (is_linear(t.role) && t.shape.size() > 1) {
      held[t.format->name].first += values_in(t);
      held[t.format->name].second = t.format;
    }
  const auto most = std::max_element(held.begin(), held.end(),
                                     [](const auto& a, const auto& b) { return a.second.first < b.second.first; });
  return most == held.end() ? nullptr : most->second.second;
}

void describe(const Model& model, std::span<const Outgoing> tensors, GgufMeta& meta) {
  const Format* format = main_format(tensors);
  meta.erase("general.file_type");
  for (const FileType& type : kFileTypes)
    if (format && format->name == type.format) meta.set("general.file_type", type.id);
  meta.set("general.quantization_version", std::uint32_t(2));
  if (!meta.has("general.name")) {
    auto name = model.path().filename().string();
    if (name.empty()) name = model.path().parent_path().filename().string();  // "folder/"
    meta.set("general.name", name);
  }
}

// All that the source said, but for what was true of its files only.
GgufMeta meta_of_gguf(const GgufMeta& source) {
  GgufMeta meta;
  for (const auto& [key, value] : source.entries())
    if (!key.starts_with("split.") && !key.starts_with("quantize.")) meta.set(key, value);
  return meta;
}

void add_tokenizer(const Model& model, GgufMeta& meta) {
  if (model.own_tokenizer()) {
    std::vector<std::string> old;
    for (const auto& [key, value] : meta.entries())
      if (key.starts_with("tokenizer.")) old.push_back(key);
    for (const std::string& key : old) meta.erase(key);
    model.tokenizer().to_gguf(meta, model.config().vocab);
  } else if (text_if_there(model.path() / "tokenizer.json").empty())
    meta.set("tokenizer.ggml.model", std::string("no_vocab"));
  else
    model.tokenizer().to_gguf(meta, model.config().vocab);
}

GgufMeta metadata(const Model& model, std::span<const Outgoing> tensors, const RunTime& run_time) {
  GgufMeta meta = model.is_gguf() ? meta_of_gguf(*model.gguf_meta()) : GgufMeta();
  config_to_gguf(model.config(), model.arch(), meta);
  meta.erase(kOutlierKey);
  if (std::any_of(tensors.begin(), tensors.end(), [](const Outgoing& t) { return t.tensor.outliers.per_row > 0; }))
    meta.set(kOutlierKey, std::uint32_t(1));
  if (!meta.has("general.type")) meta.set("general.type", std::string("model"));
  describe(model, tensors, meta);
  meta.erase(kGgufActivations);
  if (run_time.activations.plan().on()) meta.set(std::string(kGgufActivations), run_time.activations.text());
  meta.erase(kGgufKv);
  if (run_time.kv.text() != KvSpec().text()) meta.set(std::string(kGgufKv), run_time.kv.text());
  if (!model.is_gguf() || model.own_tokenizer()) add_tokenizer(model, meta);
  return meta;
}

// Where an outgoing tensor lies in the stored ones.
struct Place {
  std::size_t stored = 0;
  dim offset_bytes = 0, size_bytes = 0;
};

dim size_of(const Outgoing& t) {
  const dim cols = t.shape.empty() ? 1 : t.shape.back();
  return values_in(t) / std::max<dim>(1, cols) * row_bytes(*t.format, cols);
}

// Appends to `stored` each tensor, or one for all experts of a layer.
std::vector<Place> stack_experts(dim experts, std::span<const Outgoing> tensors, std::vector<GgufTensor>& stored) {
  std::vector<Place> places;
  while (places.size() < tensors.size()) {
    const Outgoing& first = tensors[places.size()];
    const bool stacked = first.expert >= 0;
    const dim count = stacked ? experts : 1, size_bytes = size_of(first);
    GgufTensor& out = stored.emplace_back();
    out.name = first.name;
    out.shape.assign(first.shape.rbegin(), first.shape.rend());
    if (stacked) out.shape.push_back(experts);
    out.type = first.format->gguf_type;
    out.size_bytes = count * size_bytes;
    for (dim e = 0; e < count; ++e) {
      const Outgoing* next = places.size() < tensors.size() ? &tensors[places.size()] : nullptr;
      if (stacked && !(next && next->name == first.name && next->expert == e && next->format == first.format))
        throw input_error(printable(first.name), "expected all {} experts of a layer in one format, expert {} is not",
                          experts, e);
      places.push_back({stored.size() - 1, e * size_bytes, size_bytes});
    }
  }
  return places;
}

constexpr int kI16 = 25, kI32 = 26, kF16 = 1;

// The tensors of outliers come last, in the order of their matrices; `stored` gets two for each matrix that has some.
void add_outliers(const Outgoing& t, std::vector<GgufTensor>& stored) {
  const OutlierShape& o = t.tensor.outliers;
  if (o.per_row == 0) return;
  const dim rows = t.shape[0], cols = t.shape[1];
  const std::string base = std::string(kOutlierPrefix) + module_name(t.name);
  GgufTensor& columns = stored.emplace_back();
  columns.name = base + std::string(kOutlierColumns);
  columns.shape = {o.per_row, o.whole_columns ? 1 : rows};
  columns.type = index_bytes(cols) == 2 ? kI16 : kI32;
  columns.size_bytes = outlier_index_bytes(o, rows, cols);
  GgufTensor& values = stored.emplace_back();
  values.name = base + std::string(kOutlierValues);
  values.shape = {o.per_row, rows};
  values.type = kF16;
  values.size_bytes = outlier_value_bytes(o, rows);
}

}  // namespace

void plan_gguf(const Model& model, std::span<Outgoing> tensors, std::string_view target_name, ExportPlan& plan) {
  std::vector<GgufTensor> stored;
  const std::vector<Place> places = stack_experts(model.config().experts, tensors, stored);
  std::size_t next = stored.size();
  for (const Outgoing& t : tensors) add_outliers(t, stored);
  FileLayout layout = gguf_layout(metadata(model, tensors, plan.run_time), stored);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Outgoing& t = tensors[i];
    const dim offset = layout.offsets_bytes[places[i].stored] + places[i].offset_bytes;
    if (t.literal.empty()) {
      t.tensor.slots.push_back({0, t.name, offset, places[i].size_bytes});
      for (auto* slot : {&t.tensor.outlier_columns, &t.tensor.outlier_values}) {
        if (t.tensor.outliers.per_row == 0) continue;
        *slot = Slot{0, stored[next].name, layout.offsets_bytes[next], stored[next].size_bytes};
        ++next;
      }
      continue;
    }
    layout.head.resize(std::size_t(offset), '\0');  // literals lead, so nothing else is covered
    layout.head += t.literal;
  }
  plan.files.push_back({std::string(target_name), std::move(layout.head), layout.total_bytes});
}

}  // namespace pith
