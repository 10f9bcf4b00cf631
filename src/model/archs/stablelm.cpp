// StableLM 3B and StableLM 2.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"stablelm"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_norm, Part::bias, "model.layers.{}.input_layernorm.bias", "blk.{}.attn_norm.bias"},
    {Role::attn_q, Part::weight, "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    {Role::attn_q, Part::bias, "model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    {Role::attn_k, Part::weight, "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    {Role::attn_k, Part::bias, "model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    {Role::attn_v, Part::weight, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {Role::attn_v, Part::bias, "model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    {.role = Role::attn_q_norm, .part = Part::weight, .hf = "", .gguf = "blk.{}.attn_q_norm.weight", .optional = true},
    {.role = Role::attn_k_norm, .part = Part::weight, .hf = "", .gguf = "blk.{}.attn_k_norm.weight", .optional = true},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {.role = Role::ffn_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.post_attention_layernorm.weight",
     .gguf = "blk.{}.ffn_norm.weight",
     .optional = true},
    {.role = Role::ffn_norm,
     .part = Part::bias,
     .hf = "model.layers.{}.post_attention_layernorm.bias",
     .gguf = "blk.{}.ffn_norm.bias",
     .optional = true},
    {Role::ffn_gate, Part::weight, "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {Role::ffn_up, Part::weight, "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_down, Part::weight, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {Role::output_norm, Part::bias, "model.norm.bias", "output_norm.bias"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
};

void common(Config& out) {
  out.norm = NormKind::layer;
  out.head_norms = HeadNorms::each;
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  common(out);
  out.norm_eps = keys.number_or("layer_norm_eps", keys.number_or("norm_eps", 1e-5));
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  out.parallel_block = keys.flag_or("use_parallel_residual", false);
  out.rope.dims = rotated_dims(keys, out.head_dim > 0 ? out.head_dim : out.hidden / out.heads, 0.25);
  if (keys.flag_or("qk_layernorm", false))
    throw Error(Blame::input, std::string(kConfigJson), "qk_layernorm: expected false, got true",
                "its norms are a tensor for each head there; start from a GGUF of this model");
}

void from_gguf(const GgufMeta& meta, Config& out) {
  common(out);
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_epsilon"))));
  out.parallel_block = meta.find_bool(gguf_key(out, "use_parallel_residual"), true);
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["layer_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  out["use_parallel_residual"] = config.parallel_block;
  out["partial_rotary_factor"] = double(config.rope.dims) / double(config.head_dim);
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (config.tied_embeddings)
    throw input_error(kConfigJson,
                      "tie_word_embeddings: expected false, since GGUF needs output.weight for this family");
  out.set(gguf_key(config, "attention.layer_norm_epsilon"), float(config.norm_eps));
  out.set(gguf_key(config, "use_parallel_residual"), config.parallel_block);
}

}  // namespace

extern const Arch arch_stablelm;
const Arch arch_stablelm{.name = "stablelm",
                         .hf_model_types = kModelTypes,
                         .hf_architecture = "StableLmForCausalLM",
                         .tensors = kTensors,
                         .from_hf = from_hf,
                         .from_gguf = from_gguf,
                         .to_hf = to_hf,
                         .to_gguf = to_gguf,
                         .hf_bias_key = "use_qkv_bias"};

}  // namespace pith
