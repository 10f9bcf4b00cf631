// Command R, Command R+ and Aya 23.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"cohere"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_q, Part::weight, "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    {Role::attn_q, Part::bias, "model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    {Role::attn_k, Part::weight, "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    {Role::attn_k, Part::bias, "model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    {Role::attn_v, Part::weight, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {Role::attn_v, Part::bias, "model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    {.role = Role::attn_q_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.q_norm.weight",
     .gguf = "blk.{}.attn_q_norm.weight",
     .optional = true},
    {.role = Role::attn_k_norm,
     .part = Part::weight,
     .hf = "model.layers.{}.self_attn.k_norm.weight",
     .gguf = "blk.{}.attn_k_norm.weight",
     .optional = true},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {Role::attn_o, Part::bias, "model.layers.{}.self_attn.o_proj.bias", ""},
    {Role::ffn_gate, Part::weight, "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {Role::ffn_up, Part::weight, "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_down, Part::weight, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "", .optional = true},
};

// Attention and feed-forward read one norm; queries and keys turn in neighbouring pairs in both containers.
void common(Config& out) {
  out.norm = NormKind::layer;
  out.parallel_block = true;
  out.rope.pairing = RopePairing::neighbours;
  out.head_norms = HeadNorms::each;
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  common(out);
  out.norm_eps = keys.number_or("layer_norm_eps", 1e-5);
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  out.logit_scale = keys.number_or("logit_scale", 0.0625);
  out.tied_embeddings = keys.flag_or("tie_word_embeddings", true);
  out.context = keys.size_or("model_max_length", dim(1) << 31, out.context);  // what it was trained for in the end
}

void from_gguf(const GgufMeta& meta, Config& out) {
  common(out);
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_epsilon"))));
  const double scale = meta.find_float(gguf_key(out, "logit_scale"), 0);
  out.logit_scale = scale == 0 ? 1 : decimal(float(scale));
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["layer_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  out["logit_scale"] = config.logit_scale;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (!config.tied_embeddings)
    throw input_error(kConfigJson, "tie_word_embeddings: expected true, which GGUF implies for this family, got false");
  out.set(gguf_key(config, "attention.layer_norm_epsilon"), float(config.norm_eps));
  out.set(gguf_key(config, "logit_scale"), float(config.logit_scale));
  if (config.rope.scaling == RopeScaling::none) out.set(gguf_key(config, "rope.scaling.type"), std::string("none"));
}

}  // namespace

extern const Arch arch_command_r;
const Arch arch_command_r{.name = "command-r",
                          .hf_model_types = kModelTypes,
                          .hf_architecture = "CohereForCausalLM",
                          .tensors = kTensors,
                          .from_hf = from_hf,
                          .from_gguf = from_gguf,
                          .to_hf = to_hf,
                          .to_gguf = to_gguf,
                          .hf_head_norm_key = "use_qk_norm"};

}  // namespace pith
