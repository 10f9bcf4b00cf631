#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "io/json.h"
#include "model/config_hf.h"
#include "model/exchange/layout.h"
#include "model/export/parts.h"
#include "model/model_impl.h"
#include "model/open/hf_folder.h"

namespace pith {

namespace {

using nlohmann::json;

// Files that speak of the tokenizer and of generation, not of weights: taken over as they are.
constexpr std::string_view kCarried[] = {
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
};

std::string text_of(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string_view dtype_name(const Format& f) {
  if (&f == &f32_format()) return "float32";
  return &f == &f16_format() ? "float16" : "bfloat16";
}

// The type that most unpacked values have.
std::string_view main_dtype(std::span<const Outgoing> tensors) {
  std::map<std::string_view, dim> values;
  for (const Outgoing& t : tensors) {
    if (!is_dense_format(*t.format)) continue;
    dim n = 1;
    for (const dim d : t.shape) n *= d;
    values[dtype_name(*t.format)] += n;
  }
  std::string_view best = "float16";
  dim most = 0;
  for (const auto& [name, n] : values)
    if (n > most) {
      best = name;
      most = n;
    }
  return best;
}

std::vector<LinearModule> modules_of(const Model& model, const Layout& layout, std::span<const Outgoing> tensors,
                                     const ActPlan& act) {
  std::vector<LinearModule> modules;
  constexpr std::string_view kWeight = ".weight";
  for (const Outgoing& t : tensors) {
    const bool router = t.role == Role::router || t.role == Role::shared_router;  // linear layers to their readers
    const bool embedding = layout.embeddings && t.role == Role::embed;
    const bool linear = (is_linear(t.role) || t.role == Role::lm_head || router || embedding) &&
                        std::string_view(t.name).ends_with(kWeight);
    if (linear)
      modules.push_back({t.name.substr(0, t.name.size() - kWeight.size()),
                         is_dense_format(*t.format) && !t.tensor.sparse ? nullptr : t.format,
                         t.shape.empty() ? 0 : t.shape.back(), act.on() && is_linear(t.role) ? &act : nullptr,
                         t.tensor.turn.get(), t.tensor.sparse ? &*t.tensor.sparse : nullptr});
  }
  if (model.config().tied_embeddings) modules.push_back({"lm_head", nullptr, 0, nullptr, nullptr, nullptr});
  return modules;
}

bool has_bias(const Model& model, Role role) { return model.find(role, 0, Part::bias) != nullptr; }

json base_config(const Model& model) {
  if (!model.is_gguf()) return parse_json(model.hf_config(), kConfigJson);
  json config = config_to_hf(model.config(), model.arch());
  const Arch& arch = model.arch();
  if (!arch.hf_bias_key.empty())
    config[std::string(arch.hf_bias_key)] = has_bias(model, Role::attn_q) || has_bias(model, Role::attn_qkv);
  if (!arch.hf_head_norm_key.empty())
    config[std::string(arch.hf_head_norm_key)] = model.find(Role::attn_q_norm, 0) != nullptr;
  if (!arch.hf_norm_count_key.empty())
    config[std::string(arch.hf_norm_count_key)] = model.find(Role::attn_norm_2, 0) ? 2 : 1;
  config["mlp_bias"] = has_bias(model, Role::ffn_up);
  if (model.has_tokenizer()) {
    if (model.tokenizer().bos() >= 0) config["bos_token_id"] = model.tokenizer().bos();
    if (model.tokenizer().eos() >= 0) config["eos_token_id"] = model.tokenizer().eos();
  }
  return config;
}

// What no other key tells; other programs pass it by.
void set_pith_keys(const Model& model, const RunTime& run_time, json& config) {
  const bool rotated = model.config().rotated_down;
  const bool factored = std::any_of(model.tensors().begin(), model.tensors().end(),
                                    [](const ModelTensor& t) { return t.part == Part::inner; });
  json type = config["model_type"];
  if (type == std::string(kOwnModelType)) type = config["pith"]["model_type"];
  config.erase("pith");
  if (run_time.activations.plan().on()) config["pith"]["activations"] = run_time.activations.text();
  if (run_time.kv.text() != KvSpec().text()) config["pith"]["kv_cache"] = run_time.kv.text();
  config["model_type"] = type;
  const std::map<dim, dim>& shared = model.impl().shared;
  const bool differs = std::any_of(model.tensors().begin(), model.tensors().end(), is_difference);
  if (!rotated && !factored && !differs && shared.empty()) return;
  config["model_type"] = kOwnModelType;  // programs that know nothing of it must not take it for their own
  config["architectures"] = {"PithForCausalLM"};
  config["pith"]["model_type"] = type;
  if (rotated) config["pith"]["rotated_down"] = true;
  if (factored) config["pith"]["factored"] = true;  // W.inner.weight (rank, cols) beside W.weight (rows, rank)
  // A block reads the matrices it lacks from an earlier one; with W.difference_a.weight (rank, cols) and
  // W.difference_b.weight (rows, rank) beside it its own is W + difference_b difference_a.
  for (const auto& [layer, first] : shared) config["pith"]["shared"][std::to_string(layer)] = first;
}

json config_of(const Model& model, const Layout& layout, std::span<const Outgoing> tensors, const RunTime& run_time) {
  json config = base_config(model);
  config[config.contains("dtype") ? "dtype" : "torch_dtype"] = main_dtype(tensors);
  config["tie_word_embeddings"] = model.config().tied_embeddings;
  config.erase("quantization_config");
  config.erase("quantization");
  set_pith_keys(model, run_time, config);
  const auto modules = modules_of(model, layout, tensors, run_time.activations.plan());
  if (std::any_of(modules.begin(), modules.end(), [](const LinearModule& m) { return m.format != nullptr; }))
    layout.describe(modules, config);
  return config;
}

json generation_config(const Tokenizer& tokenizer) {
  json out = {{"_from_model_config", true}};
  if (tokenizer.bos() >= 0) out["bos_token_id"] = tokenizer.bos();
  const auto ends = tokenizer.end_tokens();
  if (ends.size() == 1) out["eos_token_id"] = ends[0];
  if (ends.size() > 1) out["eos_token_id"] = ends;
  return out;
}

// A GGUF with weights alone says so.
bool brings_tokenizer(const GgufMeta& meta) {
  const std::string kind = meta.find_string("tokenizer.ggml.model", "none");
  return kind != "none" && kind != "no_vocab";
}

}  // namespace

std::vector<SideFile> hf_side_files(const Model& model, const Layout& layout, std::span<const Outgoing> tensors,
                                    const RunTime& run_time) {
  std::vector<SideFile> files{{"config.json", text_of(config_of(model, layout, tensors, run_time))}};
  if (!model.is_gguf() && !model.own_tokenizer()) {
    for (const std::string_view name : kCarried) {
      std::string text = text_if_there(model.path() / name);
      if (!text.empty()) files.push_back({std::string(name), std::move(text)});
    }
    return files;
  }
  if (model.is_gguf() && !brings_tokenizer(*model.gguf_meta())) return files;
  const Tokenizer& tokenizer = model.tokenizer();
  files.push_back({"generation_config.json", text_of(generation_config(tokenizer))});
  files.push_back({"tokenizer.json", tokenizer.to_tokenizer_json()});
  files.push_back({"tokenizer_config.json", tokenizer.to_tokenizer_config_json()});
  return files;
}

}  // namespace pith
