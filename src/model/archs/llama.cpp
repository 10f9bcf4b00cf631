// Llama 1 to 3, Mistral, SmolLM and others of that shape.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"llama", "mistral", "smollm"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {.role = Role::attn_q,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.q_proj.weight",
     .gguf = "blk.{}.attn_q.weight",
     .rope_rows = true},
    {.role = Role::attn_q,
     .part = Part::bias,
     .hf = "model.layers.{}.self_attn.q_proj.bias",
     .gguf = "blk.{}.attn_q.bias",
     .rope_rows = true},
    {.role = Role::attn_k,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.k_proj.weight",
     .gguf = "blk.{}.attn_k.weight",
     .rope_rows = true},
    {.role = Role::attn_k,
     .part = Part::bias,
     .hf = "model.layers.{}.self_attn.k_proj.bias",
     .gguf = "blk.{}.attn_k.bias",
     .rope_rows = true},
    {Role::attn_v, Part::weight, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {Role::attn_v, Part::bias, "model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {Role::attn_o, Part::bias, "model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias"},
    {Role::ffn_norm, Part::weight, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {Role::ffn_gate, Part::weight, "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {Role::ffn_gate, Part::bias, "model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias"},
    {Role::ffn_up, Part::weight, "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_up, Part::bias, "model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias"},
    {Role::ffn_down, Part::weight, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {Role::ffn_down, Part::bias, "model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
    {.role = Role::rope_factors, .part = Part::weight, .hf = "", .gguf = "rope_freqs.weight", .optional = true},
};

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  out.sliding_window = keys.size_or("sliding_window", dim(1) << 30, 0);
  if (keys.text_or("model_type", "") == "llama") out.sliding_window = 0;  // Llama ignores the key
  if (keys.number_or("partial_rotary_factor", 1) != 1)
    throw input_error(kConfigJson, "partial_rotary_factor: expected 1 for this family, got {}",
                      keys.number_or("partial_rotary_factor", 1));
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  out.rope.pairing = RopePairing::neighbours;
  out.sliding_window = meta.find_int(gguf_key(out, "attention.sliding_window"), 0);
  if (out.sliding_window < 0 || out.sliding_window > dim(1) << 30)
    throw input_error("gguf", "key {}: expected 0 to 2^30, got {}", gguf_key(out, "attention.sliding_window"),
                      out.sliding_window);
  const dim head_dim = out.head_dim > 0 ? out.head_dim : out.hidden / out.heads;
  if (out.rope.dims != 0 && out.rope.dims != head_dim)
    throw input_error("gguf", "key {}: expected the head size {} for this family, got {}",
                      gguf_key(out, "rope.dimension_count"), head_dim, out.rope.dims);
  const auto experts = meta.find_int(gguf_key(out, "expert_count"), 0);
  if (experts != 0)
    throw input_error("gguf", "key {}: expected 0 experts for this family, got {}", gguf_key(out, "expert_count"),
                      experts);
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  if (config.sliding_window == 0) return;
  out["architectures"] = {"MistralForCausalLM"};
  out["model_type"] = "mistral";
  out["sliding_window"] = config.sliding_window;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  if (config.sliding_window > 0)
    out.set(gguf_key(config, "attention.sliding_window"), std::uint32_t(config.sliding_window));
}

}  // namespace

extern const Arch arch_llama;
const Arch arch_llama{.name = "llama",
                      .hf_model_types = kModelTypes,
                      .hf_architecture = "LlamaForCausalLM",
                      .tensors = kTensors,
                      .from_hf = from_hf,
                      .from_gguf = from_gguf,
                      .to_hf = to_hf,
                      .to_gguf = to_gguf};

}  // namespace pith
