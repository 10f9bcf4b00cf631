// Qwen 3 MoE.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/experts.h"
#include "model/json_keys.h"
#include "model/sliding.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"qwen3_moe"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_q, Part::weight, "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    {Role::attn_q, Part::bias, "model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    {Role::attn_k, Part::weight, "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    {Role::attn_k, Part::bias, "model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    {Role::attn_v, Part::weight, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {Role::attn_v, Part::bias, "model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    {Role::attn_q_norm, Part::weight, "model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    {Role::attn_k_norm, Part::weight, "model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {Role::attn_o, Part::bias, "model.layers.{}.self_attn.o_proj.bias", ""},
    {Role::ffn_norm, Part::weight, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {Role::router, Part::weight, "model.layers.{}.mlp.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {Role::expert_gate, Part::weight, "model.layers.{}.mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight"},
    {Role::expert_up, Part::weight, "model.layers.{}.mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight"},
    {Role::expert_down, Part::weight, "model.layers.{}.mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
};

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  read_qwen_window(keys, out);
  read_qwen_experts(keys, out);
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  read_experts(meta, out);
  read_expert_width(meta, out);
  out.norm_expert_weights = true;
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  out["use_sliding_window"] = false;
  qwen_experts_to_hf(config, out);
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (config.sliding_window > 0)
    throw input_error(kConfigJson, "use_sliding_window: expected false, since GGUF has no window for this family");
  if (!config.norm_expert_weights)
    throw input_error(kConfigJson, "norm_topk_prob: expected true, which GGUF implies for this family, got false");
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  write_experts(config, out);
  write_expert_width(config, out);
}

}  // namespace

extern const Arch arch_qwen3moe;
const Arch arch_qwen3moe{.name = "qwen3moe",
                         .hf_model_types = kModelTypes,
                         .hf_architecture = "Qwen3MoeForCausalLM",
                         .tensors = kTensors,
                         .from_hf = from_hf,
                         .from_gguf = from_gguf,
                         .to_hf = to_hf,
                         .to_gguf = to_gguf,
                         .experts = true};

}  // namespace pith
