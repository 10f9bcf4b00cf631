#include "model/config_hf.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/printable.h"
#include "model/config_keys.h"
#include "model/json_keys.h"
#include "model/rope_scaling.h"

namespace pith {

namespace {

struct ActivationName {
  std::string_view name;
  Activation activation;
};
// The first name of an activation is the one written.
constexpr ActivationName kActivations[] = {
    {"silu", Activation::silu},          {"swish", Activation::silu},
    {"gelu", Activation::gelu_erf},      {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_new", Activation::gelu_tanh}, {"gelu_fast", Activation::gelu_tanh},
    {"relu", Activation::relu},
};

std::vector<float> factors_at(const JsonKeys& keys, std::string_view key) {
  constexpr std::size_t kMost = 1 << 15;
  const auto at = keys.object.find(key);
  const std::string name = fmt::format("{}{}", keys.prefix, key);
  if (at == keys.object.end() || !at->is_array() || at->empty() || at->size() > kMost)
    throw input_error(keys.where, "{}: expected a list of 1 to {} numbers", name, kMost);
  std::vector<float> out;
  for (const auto& value : *at) {
    if (!value.is_number()) throw input_error(keys.where, "{}: expected numbers, got {}", name, value.type_name());
    out.push_back(value.get<float>());
  }
  return out;
}

void read_longrope(const JsonKeys& keys, Config& c) {
  Rope& r = c.rope;
  r.scaling = RopeScaling::longrope;
  r.freq_factors = factors_at(keys, "short_factor");
  r.long_factors = factors_at(keys, "long_factor");
  r.original_context = keys.size_or("original_max_position_embeddings", dim(1) << 31, r.original_context);
  if (r.original_context == 0) r.original_context = c.context;
  const double stretch = keys.number_or("factor", double(c.context) / double(r.original_context));
  r.attn_factor = keys.number_or("attention_factor", longrope_attn_factor(stretch, r.original_context));
}

void read_scaling(const JsonKeys& keys, Config& c) {
  Rope& r = c.rope;
  const std::string type = keys.text_or("rope_type", keys.text_or("type", "default"));
  if (type == "default" || type == "none") return;
  if (type == "longrope" || type == "su") return read_longrope(keys, c);
  r.factor = keys.number("factor");
  r.original_context = keys.size_or("original_max_position_embeddings", dim(1) << 31, c.context);
  if (type == "linear") {
    r.scaling = RopeScaling::linear;
    r.original_context = 0;
  } else if (type == "dynamic") {
    r.scaling = RopeScaling::dynamic;
  } else if (type == "llama3") {
    r.scaling = RopeScaling::llama3;
    r.low_freq_factor = keys.number("low_freq_factor");
    r.high_freq_factor = keys.number("high_freq_factor");
    r.original_context = keys.size("original_max_position_embeddings", dim(1) << 31);
  } else if (type == "yarn") {
    r.scaling = RopeScaling::yarn;
    r.attn_factor = keys.number_or("attention_factor", yarn_attn_factor(r.factor));
    r.beta_fast = keys.number_or("beta_fast", 32);
    r.beta_slow = keys.number_or("beta_slow", 1);
  } else {
    throw input_error(keys.where, "{}rope_type: expected default, linear, dynamic, llama3, yarn or longrope, got {}",
                      keys.prefix, printable(type));
  }
}

// One rotation for layers that see all, one for those with a window.
void read_rope_kinds(const JsonKeys& kinds, const nlohmann::json& full, Config& c) {
  const JsonKeys global{full, kinds.where, kinds.prefix + "full_attention."};
  c.rope.base = global.number_or("rope_theta", c.rope.base);
  read_scaling(global, c);
  if (const auto* sliding = kinds.object_or_null("sliding_attention"))
    c.rope_base_sliding = JsonKeys{*sliding, kinds.where, ""}.number_or("rope_theta", c.rope.base);
}

// rope_theta and rope_scaling; newer files nest both in rope_parameters.
void read_rope(const JsonKeys& keys, Config& c) {
  const std::string where(kConfigJson);
  c.rope.base = keys.number_or("rope_theta", 10000);
  c.rope.original_context = keys.size_or("original_max_position_embeddings", dim(1) << 31, 0);
  if (const auto* nested = keys.object_or_null("rope_parameters")) {
    const JsonKeys inner{*nested, where, "rope_parameters."};
    if (const auto* full = inner.object_or_null("full_attention")) return read_rope_kinds(inner, *full, c);
    c.rope.base = inner.number_or("rope_theta", c.rope.base);
    read_scaling(inner, c);
  } else if (const auto* scaling = keys.object_or_null("rope_scaling")) {
    read_scaling({*scaling, where, "rope_scaling."}, c);
  }
}

std::vector<double> decimals(const std::vector<float>& values) {
  std::vector<double> out;
  for (const float v : values) out.push_back(decimal(v));
  return out;
}

nlohmann::json scaling_to_hf(const Rope& r) {
  switch (r.scaling) {
    case RopeScaling::none:
      return nullptr;
    case RopeScaling::linear:
      return {{"rope_type", "linear"}, {"factor", r.factor}};
    case RopeScaling::dynamic:
      return {{"rope_type", "dynamic"}, {"factor", r.factor}, {"original_max_position_embeddings", r.original_context}};
    case RopeScaling::llama3:
      return {{"rope_type", "llama3"},
              {"factor", r.factor},
              {"low_freq_factor", r.low_freq_factor},
              {"high_freq_factor", r.high_freq_factor},
              {"original_max_position_embeddings", r.original_context}};
    case RopeScaling::yarn:
      return {{"rope_type", "yarn"},
              {"factor", r.factor},
              {"attention_factor", r.attn_factor},
              {"beta_fast", r.beta_fast},
              {"beta_slow", r.beta_slow},
              {"original_max_position_embeddings", r.original_context}};
    case RopeScaling::longrope:
      return {
          {"type", "longrope"}, {"short_factor", decimals(r.freq_factors)}, {"long_factor", decimals(r.long_factors)}};
  }
  throw InternalError("a rope scaling without a name");
}

}  // namespace

dim rotated_dims(const JsonKeys& keys, dim head_dim, double otherwise) {
  double share = keys.number_or("partial_rotary_factor", otherwise);
  if (const auto* nested = keys.object_or_null("rope_parameters"))
    share = JsonKeys{*nested, keys.where, "rope_parameters."}.number_or("partial_rotary_factor", share);
  if (!(share > 0 && share <= 1))
    throw input_error(keys.where, "{}partial_rotary_factor: expected a number above 0 and up to 1, got {}", keys.prefix,
                      share);
  return dim(share * double(head_dim));
}

Activation activation_from_hf(std::string_view hidden_act) {
  for (const ActivationName& row : kActivations)
    if (row.name == hidden_act) return row.activation;
  throw input_error(kConfigJson, "hidden_act: expected silu, gelu, gelu_pytorch_tanh, gelu_new or relu, got {}",
                    printable(hidden_act));
}

std::string_view activation_to_hf(Activation activation) {
  for (const ActivationName& row : kActivations)
    if (row.activation == activation) return row.name;
  throw InternalError("an activation without a name");
}

Config config_from_hf(const nlohmann::json& config, const Arch& arch) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  Config c;
  c.arch = arch.name;
  const Spelling spelling{true, arch.hf_sizes};
  for (const SizeKey& key : size_keys()) {
    const SizeName name = spelling.in_hf(key);
    if (name.hf.empty()) continue;
    c.*key.field = name.optional ? keys.size_or(name.hf, key.most, 0) : keys.size(name.hf, key.most);
  }
  c.rope.pairing = RopePairing::halves;
  c.tied_embeddings = keys.flag_or("tie_word_embeddings", false);
  if (const auto* pith = keys.object_or_null("pith"))
    c.rotated_down = JsonKeys{*pith, keys.where, "pith."}.flag_or("rotated_down", false);
  read_rope(keys, c);
  arch.from_hf(config, c);
  complete_config(c, kConfigJson, spelling);
  return c;
}

nlohmann::json config_to_hf(const Config& c, const Arch& arch) {
  nlohmann::json out;
  out["architectures"] = {arch.hf_architecture};
  out["model_type"] = arch.hf_model_types[0];
  const Spelling spelling{true, arch.hf_sizes};
  for (const SizeKey& key : size_keys())
    if (const std::string name(spelling.in_hf(key).hf); !name.empty()) out[name] = c.*key.field;
  out["tie_word_embeddings"] = c.tied_embeddings;
  if (c.rope.on) {
    const Rope rope = named_scaling(c.rope);
    out["rope_theta"] = rope.base;
    out["rope_scaling"] = scaling_to_hf(rope);
  }
  arch.to_hf(c, out);
  return out;
}

}  // namespace pith
