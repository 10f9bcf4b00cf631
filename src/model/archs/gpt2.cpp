// GPT-2 and what shares its shape (DistilGPT2, Cerebras-GPT).
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"gpt2"};

constexpr SizeName kSizes[] = {
    {&Config::hidden, "n_embd"},       {&Config::layers, "n_layer"}, {&Config::heads, "n_head"},
    {&Config::kv_heads, ""},           {&Config::head_dim, ""},      {&Config::ffn, "n_inner", true},
    {&Config::context, "n_positions"},
};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "transformer.wte.weight", "token_embd.weight"},
    {Role::pos_embed, Part::weight, "transformer.wpe.weight", "position_embd.weight"},
    {Role::attn_norm, Part::weight, "transformer.h.{}.ln_1.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_norm, Part::bias, "transformer.h.{}.ln_1.bias", "blk.{}.attn_norm.bias"},
    {.role = Role::attn_qkv,
     .part = Part::weight,
     .hf = "transformer.h.{}.attn.c_attn.weight",
     .gguf = "blk.{}.attn_qkv.weight",
     .transposed = true},
    {Role::attn_qkv, Part::bias, "transformer.h.{}.attn.c_attn.bias", "blk.{}.attn_qkv.bias"},
    {.role = Role::attn_o,
     .part = Part::weight,
     .hf = "transformer.h.{}.attn.c_proj.weight",
     .gguf = "blk.{}.attn_output.weight",
     .transposed = true},
    {Role::attn_o, Part::bias, "transformer.h.{}.attn.c_proj.bias", "blk.{}.attn_output.bias"},
    {Role::ffn_norm, Part::weight, "transformer.h.{}.ln_2.weight", "blk.{}.ffn_norm.weight"},
    {Role::ffn_norm, Part::bias, "transformer.h.{}.ln_2.bias", "blk.{}.ffn_norm.bias"},
    {.role = Role::ffn_up,
     .part = Part::weight,
     .hf = "transformer.h.{}.mlp.c_fc.weight",
     .gguf = "blk.{}.ffn_up.weight",
     .transposed = true},
    {Role::ffn_up, Part::bias, "transformer.h.{}.mlp.c_fc.bias", "blk.{}.ffn_up.bias"},
    {.role = Role::ffn_down,
     .part = Part::weight,
     .hf = "transformer.h.{}.mlp.c_proj.weight",
     .gguf = "blk.{}.ffn_down.weight",
     .transposed = true},
    {Role::ffn_down, Part::bias, "transformer.h.{}.mlp.c_proj.bias", "blk.{}.ffn_down.bias"},
    {Role::output_norm, Part::weight, "transformer.ln_f.weight", "output_norm.weight"},
    {Role::output_norm, Part::bias, "transformer.ln_f.bias", "output_norm.bias"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
};

void common(Config& out) {
  out.norm = NormKind::layer;
  out.gated = false;
  out.rope.on = false;
  out.activation = Activation::gelu_tanh;
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  common(out);
  out.norm_eps = keys.number_or("layer_norm_epsilon", 1e-5);
  out.activation = activation_from_hf(keys.text_or("activation_function", "gelu_new"));
  out.tied_embeddings = keys.flag_or("tie_word_embeddings", true);
  if (out.ffn == 0) out.ffn = 4 * out.hidden;
  if (!keys.flag_or("scale_attn_weights", true)) out.attn_scale = 1;
  for (const std::string_view other : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"})
    if (keys.flag_or(other, false)) throw input_error(kConfigJson, "{}: expected false, got true", other);
}

void from_gguf(const GgufMeta& meta, Config& out) {
  common(out);
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_epsilon"))));
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["layer_norm_epsilon"] = config.norm_eps;
  out["activation_function"] = "gelu_new";
  out["scale_attn_weights"] = true;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::gelu_tanh)
    throw input_error(kConfigJson, "activation_function: expected gelu_new, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (config.attn_scale != 0)
    throw input_error(kConfigJson, "scale_attn_weights: expected true, which GGUF implies for this family, got false");
  out.set(gguf_key(config, "attention.layer_norm_epsilon"), float(config.norm_eps));
}

}  // namespace

extern const Arch arch_gpt2;
const Arch arch_gpt2{.name = "gpt2",
                     .hf_model_types = kModelTypes,
                     .hf_architecture = "GPT2LMHeadModel",
                     .tensors = kTensors,
                     .from_hf = from_hf,
                     .from_gguf = from_gguf,
                     .to_hf = to_hf,
                     .to_gguf = to_gguf,
                     .hf_bias_key = "",
                     .hf_prefix = "transformer.",
                     .hf_sizes = kSizes};

}  // namespace pith
