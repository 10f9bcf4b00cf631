// Mixtral: Mistral with experts. GGUF calls the family llama.
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

constexpr std::string_view kModelTypes[] = {"mixtral"};

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
    {Role::router, Part::weight, "model.layers.{}.block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {Role::expert_gate, Part::weight, "model.layers.{}.block_sparse_moe.experts.{}.w1.weight",
     "blk.{}.ffn_gate_exps.weight"},
    {Role::expert_up, Part::weight, "model.layers.{}.block_sparse_moe.experts.{}.w3.weight",
     "blk.{}.ffn_up_exps.weight"},
    {Role::expert_down, Part::weight, "model.layers.{}.block_sparse_moe.experts.{}.w2.weight",
     "blk.{}.ffn_down_exps.weight"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
    {.role = Role::rope_factors, .part = Part::weight, .hf = "", .gguf = "rope_freqs.weight", .optional = true},
};

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  out.sliding_window = keys.size_or("sliding_window", dim(1) << 30, 0);
  read_expert_counts(keys, "num_local_experts", out);
  out.expert_ffn = out.ffn;
  out.norm_expert_weights = true;
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  out.rope.pairing = RopePairing::neighbours;
  read_sliding(meta, 0, 0, out);
  read_experts(meta, out);
  out.expert_ffn = out.ffn;
  out.norm_expert_weights = true;
  const dim head_dim = out.head_dim > 0 ? out.head_dim : out.hidden / out.heads;
  if (out.rope.dims != 0 && out.rope.dims != head_dim)
    throw input_error("gguf", "key {}: expected the head size {} for this family, got {}",
                      gguf_key(out, "rope.dimension_count"), head_dim, out.rope.dims);
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  out["num_local_experts"] = config.experts;
  out["num_experts_per_tok"] = config.experts_used;
  out["sliding_window"] = nullptr;
  if (config.sliding_window > 0) out["sliding_window"] = config.sliding_window;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  write_experts(config, out);
  if (config.sliding_window > 0)
    out.set(gguf_key(config, "attention.sliding_window"), std::uint32_t(config.sliding_window));
}

}  // namespace

extern const Arch arch_mixtral;
const Arch arch_mixtral{.name = "llama",
                        .hf_model_types = kModelTypes,
                        .hf_architecture = "MixtralForCausalLM",
                        .tensors = kTensors,
                        .from_hf = from_hf,
                        .from_gguf = from_gguf,
                        .to_hf = to_hf,
                        .to_gguf = to_gguf,
                        .experts = true};

}  // namespace pith
