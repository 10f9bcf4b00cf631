// Gemma 3, the language models alone.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"
#include "model/sliding.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"gemma3_text"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {.role = Role::attn_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.input_layernorm.weight",
     .gguf = "blk.{}.attn_norm.weight",
     .plus_one = true},
    {Role::attn_q, Part::weight, "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    {Role::attn_k, Part::weight, "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    {Role::attn_v, Part::weight, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {.role = Role::attn_q_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.q_norm.weight",
     .gguf = "blk.{}.attn_q_norm.weight",
     .plus_one = true},
    {.role = Role::attn_k_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.k_norm.weight",
     .gguf = "blk.{}.attn_k_norm.weight",
     .plus_one = true},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {.role = Role::attn_post_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.post_attention_layernorm.weight",
     .gguf = "blk.{}.post_attention_norm.weight",
     .plus_one = true},
    {.role = Role::ffn_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.pre_feedforward_layernorm.weight",
     .gguf = "blk.{}.ffn_norm.weight",
     .plus_one = true},
    {Role::ffn_gate, Part::weight, "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {Role::ffn_up, Part::weight, "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_down, Part::weight, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {.role = Role::ffn_post_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.post_feedforward_layernorm.weight",
     .gguf = "blk.{}.post_ffw_norm.weight",
     .plus_one = true},
    {.role = Role::output_norm,
     .part = Part::weight,
     .hf = "model.norm.weight",
     .gguf = "output_norm.weight",
     .plus_one = true},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
};

constexpr dim kPattern = 6;
constexpr dim kLargestLayers = 62;  // the 27B model, the only one that scales by hidden / heads

// What GGUF implies.
double attn_scale(const Config& c) {
  const dim head_dim = c.head_dim > 0 ? c.head_dim : c.hidden / c.heads;
  return 1 / std::sqrt(double(c.layers == kLargestLayers ? c.hidden / c.heads : head_dim));
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.norm_plus_one = true;
  out.tied_embeddings = keys.flag_or("tie_word_embeddings", true);
  out.activation =
      activation_from_hf(keys.text_or("hidden_activation", keys.text_or("hidden_act", "gelu_pytorch_tanh")));
  out.embed_scale = std::sqrt(double(out.hidden));
  out.attn_scale = 1 / std::sqrt(double(keys.size_or("query_pre_attn_scalar", dim(1) << 20, 256)));
  out.attn_softcap = keys.number_or("attn_logit_softcapping", 0);
  out.logit_softcap = keys.number_or("final_logit_softcapping", 0);
  out.sliding_window = keys.size_or("sliding_window", dim(1) << 30, 0);
  out.sliding_pattern = keys.size_or("sliding_window_pattern", 10000, kPattern);
  read_layer_types(keys, out);
  if (out.rope_base_sliding == 0) out.rope_base_sliding = keys.number_or("rope_local_base_freq", 10000);
  if (!keys.has("rope_theta") && !keys.has("rope_parameters")) out.rope.base = 1000000;
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  out.activation = Activation::gelu_tanh;
  out.embed_scale = std::sqrt(double(out.hidden));
  out.attn_scale = attn_scale(out);
  out.logit_softcap = decimal(float(meta.find_float(gguf_key(out, "final_logit_softcapping"), 0)));
  read_sliding(meta, 0, kPattern, out);
  out.rope_base_sliding = decimal(float(meta.find_float(gguf_key(out, "rope.freq_base_swa"), 10000)));
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_activation"] = activation_to_hf(config.activation);
  out["query_pre_attn_scalar"] = std::llround(1 / (config.attn_scale * config.attn_scale));
  out["attn_logit_softcapping"] = nullptr;
  out["final_logit_softcapping"] = nullptr;
  if (config.attn_softcap > 0) out["attn_logit_softcapping"] = config.attn_softcap;
  if (config.logit_softcap > 0) out["final_logit_softcapping"] = config.logit_softcap;
  out["rope_local_base_freq"] = config.rope_base_sliding;
  out["layer_types"] = layer_types(config);
  if (config.sliding_window > 0) out["sliding_window"] = config.sliding_window;
  if (config.sliding_pattern > 0) out["sliding_window_pattern"] = config.sliding_pattern;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::gelu_tanh)
    throw input_error(kConfigJson, "hidden_activation: expected gelu_pytorch_tanh, which GGUF implies, got {}",
                      activation_to_hf(config.activation));
  if (std::abs(config.attn_scale / attn_scale(config) - 1) > 1e-6)
    throw input_error(kConfigJson, "query_pre_attn_scalar: expected {}, which GGUF implies for this family, got {}",
                      std::llround(1 / (attn_scale(config) * attn_scale(config))),
                      std::llround(1 / (config.attn_scale * config.attn_scale)));
  if (config.attn_softcap > 0)
    throw input_error(kConfigJson, "attn_logit_softcapping: expected none, since GGUF has none for this family, got {}",
                      config.attn_softcap);
  if (config.sliding_window > 0) out.set(gguf_key(config, "rope.freq_base_swa"), float(config.rope_base_sliding));
  if (config.logit_softcap > 0) out.set(gguf_key(config, "final_logit_softcapping"), float(config.logit_softcap));
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  write_sliding(config, kPattern, out);
}

}  // namespace

extern const Arch arch_gemma3;
const Arch arch_gemma3{.name = "gemma3",
                       .hf_model_types = kModelTypes,
                       .hf_architecture = "Gemma3ForCausalLM",
                       .tensors = kTensors,
                       .from_hf = from_hf,
                       .from_gguf = from_gguf,
                       .to_hf = to_hf,
                       .to_gguf = to_gguf};

}  // namespace pith
