#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "io/files.h"
#include "io/json.h"
#include "io/printable.h"
#include "model/config_hf.h"
#include "model/exchange/checkpoint.h"
#include "model/json_keys.h"
#include "model/model_impl.h"
#include "model/open/hf_folder.h"

namespace pith {

namespace {

const Format* format_of_dtype(std::string_view dtype) {
  if (dtype == "F32") return &f32_format();
  if (dtype == "F16") return &f16_format();
  if (dtype == "BF16") return &bf16_format();
  return nullptr;
}

// Buffers that old checkpoints carry and the model computes by itself.
bool is_junk(std::string_view name) {
  for (const std::string_view buffer : {".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias",
                                        ".attention.masked_bias"})  // the last ones: masks
    if (name.ends_with(buffer)) return true;
  return false;
}

const Arch& arch_of_config(const nlohmann::json& config) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  if (!config.is_object()) throw input_error(kConfigJson, "expected a JSON object, got {}", config.type_name());
  if (!keys.has("model_type")) throw input_error(kConfigJson, "expected key model_type, it is missing");
  std::string type = keys.text_or("model_type", "");
  if (const auto* own = type == kOwnModelType ? keys.object_or_null("pith") : nullptr)
    type = JsonKeys{*own, keys.where, "pith."}.text_or("model_type", "");
  if (const Arch* arch = find_arch_of_hf(type)) return *arch;
  std::string known;
  for (const Arch* arch : all_archs())
    for (const std::string_view name : arch->hf_model_types) known.append(known.empty() ? "" : ", ").append(name);
  throw input_error(kConfigJson, "model_type: expected one of {}; got {}", known, printable(type));
}

ModelTensor view_of(const SafetensorsSet& files, const SafeTensor& stored) {
  ModelTensor t;
  t.name = stored.name;
  t.shape = stored.shape;
  t.weight.format = format_of_dtype(stored.dtype);
  if (!t.weight.format)
    throw Error(Blame::input, printable(stored.name), fmt::format("expected F32, F16 or BF16, got {}", stored.dtype),
                "start from the model in full precision");
  t.weight.data = files.data(stored);
  set_shape(t);
  return t;
}

// Our own key has the options that the layout's own description lacks.
RunTime run_time_of(const nlohmann::json& config, const Unpacked& packed) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  const std::string inputs = packed.activations.empty() ? "f32" : packed.activations;
  const auto* pith = keys.object_or_null("pith");
  if (!pith) return {ActSpec(inputs), {}};
  const JsonKeys own{*pith, keys.where, "pith."};
  return {ActSpec(own.text_or("activations", inputs)), KvSpec(own.text_or("kv_cache", "f32"))};
}

// pith.shared: {"11": 10} says that block 11 reads block 10's matrices, those it has not itself.
std::map<dim, dim> shared_blocks(const nlohmann::json& config, dim layers) {
  std::map<dim, dim> out;
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  const auto* pith = keys.object_or_null("pith");
  const auto* shared = pith ? JsonKeys{*pith, keys.where, "pith."}.object_or_null("shared") : nullptr;
  if (!shared) return out;
  for (const auto& [name, first] : shared->items()) {
    dim layer = -1;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), layer);
    const bool number = fault == std::errc() && end == name.data() + name.size();
    if (!number || layer < 1 || layer >= layers || !first.is_number_unsigned() ||
        first.get<std::uint64_t>() >= std::uint64_t(layer))
      throw input_error(kConfigJson, "pith.shared.{}: expected blocks 1 to {} that share with an earlier one, got {}",
                        printable(name), layers - 1, printable(first.dump()));
    out[layer] = first.get<dim>();
  }
  for (const auto& [layer, first] : out)
    if (out.contains(first))
      throw input_error(kConfigJson, "pith.shared.{}: expected a block with matrices of its own, got {}, which shares",
                        layer, first);
  return out;
}

void read_tensors(const nlohmann::json& config, const std::string& legacy, const SafetensorsSet& files,
                  Model::Impl& out) {
  Unpacked packed = unpack_layers(config, legacy, files);
  out.tensors = std::move(packed.tensors);
  out.notes = std::move(packed.notes);
  out.scratch = std::move(packed.scratch);
  out.run_time = run_time_of(config, packed);
  out.act_scales = std::move(packed.act_scales);
  for (const SafeTensor& stored : files.tensors())
    if (!is_junk(stored.name) && !packed.used.contains(stored.name)) out.tensors.push_back(view_of(files, stored));
}

}  // namespace

void open_hf(const std::filesystem::path& folder, Model::Impl& out) {
  const auto config_path = folder / "config.json";
  std::error_code fault;
  if (!std::filesystem::exists(config_path, fault))
    throw Error(Blame::input, folder.string(), "expected config.json, it is missing",
                "a model folder holds config.json and .safetensors files");
  out.hf_config = read_text_file(config_path);
  const nlohmann::json config = parse_json(out.hf_config, kConfigJson);
  out.arch = &arch_of_config(config);
  out.config = config_from_hf(config, *out.arch);
  out.shared = shared_blocks(config, out.config.layers);
  out.hf_generation_config = text_if_there(folder / "generation_config.json");
  out.safetensors.emplace(SafetensorsSet::open(folder));
  read_tensors(config, text_if_there(folder / "quantize_config.json"), *out.safetensors, out);
}

}  // namespace pith
