#include <algorithm>
#include <map>

#include "core/error.h"
#include "formats/format.h"
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
  if (text_if_there(model.path() / "tokenizer.json").empty())
    meta.set("tokenizer.ggml.model", std::string("no_vocab"));
  else
    model.tokenizer().to_gguf(meta, model.config().vocab);
}

GgufMeta metadata(const Model& model, std::span<const Outgoing> tensors) {
  GgufMeta meta = model.is_gguf() ? meta_of_gguf(*model.gguf_meta()) : GgufMeta();
  config_to_gguf(model.config(), model.arch(), meta);
  if (!meta.has("general.type")) meta.set("general.type", std::string("model"));
  describe(model, tensors, meta);
  if (!model.is_gguf()) add_tokenizer(model, meta);
  return meta;
}

}  // namespace

void plan_gguf(const Model& model, std::span<Outgoing> tensors, std::string_view target_name, ExportPlan& plan) {
  std::vector<GgufTensor> stored;
  for (const Outgoing& t : tensors) {
    GgufTensor& out = stored.emplace_back();
    out.name = t.name;
    out.shape.assign(t.shape.rbegin(), t.shape.rend());
    out.type = t.format->gguf_type;
    out.size_bytes = values_in(t) / std::max<dim>(1, out.shape.empty() ? 1 : out.shape[0]) *
                     row_bytes(*t.format, out.shape.empty() ? 1 : out.shape[0]);
  }
  FileLayout layout = gguf_layout(metadata(model, tensors), stored);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Outgoing& t = tensors[i];
    if (t.literal.empty()) {
      t.tensor.slots.push_back({0, t.name, layout.offsets_bytes[i], stored[i].size_bytes});
      continue;
    }
    layout.head.resize(std::size_t(layout.offsets_bytes[i]), '\0');  // literals lead, so nothing else is covered
    layout.head += t.literal;
  }
  plan.files.push_back({std::string(target_name), std::move(layout.head), layout.total_bytes});
}

}  // namespace pith
