// Granite 3, the dense models.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"granite"};

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
};

struct Scale {
  double Config::*field;
  std::string_view hf, gguf;
};
constexpr Scale kScales[] = {
    {&Config::attn_scale, "attention_multiplier", "attention.scale"},
    {&Config::embed_scale, "embedding_multiplier", "embedding_scale"},
    {&Config::residual_scale, "residual_multiplier", "residual_scale"},
};

void check_scales(const Config& c, std::string_view where) {
  for (const double v : {c.attn_scale, c.embed_scale, c.residual_scale, c.logit_scale})
    if (!(v > 0) || !(v < 1e9))
      throw input_error(
          where, "expected scales above 0 and below 1e9 for attention, embedding, residual and logits, got {}", v);
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  for (const Scale& scale : kScales) out.*scale.field = keys.number_or(scale.hf, 1);
  out.logit_scale = 1 / keys.number_or("logits_scaling", 1);
  check_scales(out, kConfigJson);
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  out.rope.pairing = RopePairing::neighbours;
  out.attn_scale = 1 / std::sqrt(double(out.head_dim > 0 ? out.head_dim : out.hidden / out.heads));
  for (const Scale& scale : kScales)
    if (const double v = meta.find_float(gguf_key(out, scale.gguf), 0); v != 0) out.*scale.field = decimal(float(v));
  out.logit_scale = 1 / decimal(float(meta.get_float(gguf_key(out, "logit_scale"))));
  check_scales(out, "gguf");
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  for (const Scale& scale : kScales) out[std::string(scale.hf)] = config.*scale.field;
  out["logits_scaling"] = decimal(float(1 / config.logit_scale));
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  for (const Scale& scale : kScales) out.set(gguf_key(config, scale.gguf), float(config.*scale.field));
  out.set(gguf_key(config, "logit_scale"), float(1 / config.logit_scale));
}

}  // namespace

extern const Arch arch_granite;
const Arch arch_granite{.name = "granite",
                        .hf_model_types = kModelTypes,
                        .hf_architecture = "GraniteForCausalLM",
                        .tensors = kTensors,
                        .from_hf = from_hf,
                        .from_gguf = from_gguf,
                        .to_hf = to_hf,
                        .to_gguf = to_gguf};

}  // namespace pith
