#include "model/exchange/lora_write.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/half.h"
#include "io/printable.h"
#include "model/arch.h"
#include "model/export/parts.h"

namespace pith {

namespace {

std::string halves(const std::vector<float>& values) {
  std::string out;
  out.reserve(values.size() * 2);
  for (const float v : values) {
    const std::uint16_t bits = f32_to_f16(v);
    out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  return out;
}

// A tensor of an adapter, slowest dimension first.
struct Factor {
  std::string name;
  dim rows, cols;  // cols 0: a vector, in float32
  const std::vector<float>* values;
  std::vector<dim> shape() const { return cols > 0 ? std::vector<dim>{rows, cols} : std::vector<dim>{rows}; }
  std::string bytes() const {
    if (cols > 0) return halves(*values);
    return {reinterpret_cast<const char*>(values->data()), values->size() * sizeof(float)};
  }
};

std::vector<Factor> factors_of(const Model& base, const std::vector<AdapterPart>& parts, bool gguf) {
  std::vector<Factor> out;
  for (const AdapterPart& part : parts) {
    const ModelTensor& t = base.tensors()[part.tensor];
    const std::string module = gguf ? t.name : "base_model.model." + module_name(t.name);
    out.push_back({module + (gguf ? ".lora_a" : ".lora_A.weight"), part.rank, t.weight.cols, &part.a});
    out.push_back({module + (gguf ? ".lora_b" : ".lora_B.weight"), t.weight.rows, part.rank, &part.b});
    if (part.magnitudes.empty()) continue;
    if (gguf)
      throw Error(Blame::input, "dora", "expected a base as a Hugging Face folder: GGUF adapters have no magnitudes",
                  "pith convert MODEL --to hf writes one");
    out.push_back({module + ".lora_magnitude_vector", t.weight.rows, 0, &part.magnitudes});
  }
  return out;
}

std::string gguf_bytes(const Model& base, dim rank, const std::vector<Factor>& factors) {
  GgufMeta meta;
  meta.set("general.architecture", std::string(base.arch().name));
  meta.set("general.type", std::string("adapter"));
  meta.set("adapter.type", std::string("lora"));
  meta.set("adapter.lora.alpha", float(rank));
  std::vector<GgufTensor> stored;
  constexpr int kF16 = 1;
  for (const Factor& f : factors) {
    GgufTensor& t = stored.emplace_back();
    t.name = f.name;
    t.shape = {f.cols, f.rows};
    t.type = kF16;
    t.size_bytes = f.rows * f.cols * 2;
  }
  const FileLayout layout = gguf_layout(meta, stored);
  std::string bytes = layout.head;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    bytes.resize(std::size_t(layout.offsets_bytes[i]), '\0');
    bytes += halves(*factors[i].values);
  }
  bytes.resize(std::size_t(layout.total_bytes), '\0');
  return bytes;
}

std::string safetensors_bytes(const std::vector<Factor>& factors) {
  std::vector<SafeTensor> stored;
  for (const Factor& f : factors) {
    SafeTensor& t = stored.emplace_back();
    t.name = f.name;
    t.dtype = f.cols > 0 ? "F16" : "F32";
    t.shape = f.shape();
    t.size_bytes = dim(f.bytes().size());
  }
  const SafetensorsLayout layout = safetensors_layout(stored, dim(1) << 60);
  const ShardLayout& shard = layout.shards.at(0);
  std::string bytes = shard.layout.head;
  for (std::size_t i = 0; i < shard.tensors.size(); ++i) {
    PITH_CHECK(shard.layout.offsets_bytes[i] == dim(bytes.size()));
    bytes += factors[shard.tensors[i]].bytes();
  }
  return bytes;
}

std::string peft_config(const Model& base, dim rank, const std::vector<AdapterPart>& parts) {
  std::set<std::string> modules;
  nlohmann::ordered_json ranks = nlohmann::ordered_json::object();
  for (const AdapterPart& part : parts) {
    const std::string module = module_name(base.tensors()[part.tensor].name);
    modules.insert(module.substr(module.rfind('.') + 1));
    if (part.rank != rank) ranks[module] = part.rank;
  }
  const nlohmann::ordered_json config = {{"peft_type", "LORA"},
                                         {"task_type", "CAUSAL_LM"},
                                         {"r", rank},
                                         {"lora_alpha", rank},
                                         {"rank_pattern", ranks},
                                         {"lora_dropout", 0.0},
                                         {"bias", "none"},
                                         {"use_dora", !parts.front().magnitudes.empty()},
                                         {"fan_in_fan_out", false},
                                         {"inference_mode", true},
                                         {"target_modules", modules},
                                         {"base_model_name_or_path", base.path().filename().string()}};
  return config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<AdapterFile> adapter_files(const Model& base, const std::vector<AdapterPart>& parts) {
  if (parts.empty()) throw input_error("adapter", "expected at least one matrix to adapt, found none");
  dim rank = 0;
  for (const AdapterPart& part : parts) rank = std::max(rank, part.rank);
  // Programs multiply by alpha over a part's own rank, with one alpha for all.
  std::vector<AdapterPart> scaled = parts;
  for (AdapterPart& part : scaled)
    if (part.rank != rank)
      for (float& v : part.b) v *= float(part.rank) / float(rank);
  const std::vector<Factor> factors = factors_of(base, scaled, base.is_gguf());
  if (base.is_gguf()) return {{"", gguf_bytes(base, rank, factors)}};
  return {{"adapter_config.json", peft_config(base, rank, parts)},
          {"adapter_model.safetensors", safetensors_bytes(factors)}};
}

}  // namespace pith
