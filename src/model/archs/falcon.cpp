// Falcon 7B, 40B, 180B and Falcon 2; in Hugging Face's form also the sequential ones with biases.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"falcon"};

constexpr SizeName kSizes[] = {
    {&Config::kv_heads, "num_kv_heads", true},
    {&Config::head_dim, ""},
    {&Config::ffn, "ffn_hidden_size", true},
    {&Config::context, "max_position_embeddings", true},
};

// With two norms, GGUF calls that of the feed-forward attn_norm and that of the attention attn_norm_2.
constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "transformer.word_embeddings.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "transformer.h.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_norm, Part::bias, "transformer.h.{}.input_layernorm.bias", "blk.{}.attn_norm.bias"},
    {.role = Role::attn_norm,
     .part = Part::weight,
     .hf = "transformer.h.{}.ln_mlp.weight",
     .gguf = "blk.{}.attn_norm.weight",
     .optional = true,
     .beside = Role::attn_norm_2},
    {.role = Role::attn_norm,
     .part = Part::bias,
     .hf = "transformer.h.{}.ln_mlp.bias",
     .gguf = "blk.{}.attn_norm.bias",
     .beside = Role::attn_norm_2},
    {.role = Role::attn_norm_2,
     .part = Part::weight,
     .hf = "transformer.h.{}.ln_attn.weight",
     .gguf = "blk.{}.attn_norm_2.weight",
     .optional = true},
    {Role::attn_norm_2, Part::bias, "transformer.h.{}.ln_attn.bias", "blk.{}.attn_norm_2.bias"},
    {.role = Role::attn_qkv,
     .part = Part::weight,
     .hf = "transformer.h.{}.self_attention.query_key_value.weight",
     .gguf = "blk.{}.attn_qkv.weight",
     .by_head = true},
    {.role = Role::attn_qkv,
     .part = Part::bias,
     .hf = "transformer.h.{}.self_attention.query_key_value.bias",
     .gguf = "",
     .by_head = true},
    {Role::attn_o, Part::weight, "transformer.h.{}.self_attention.dense.weight", "blk.{}.attn_output.weight"},
    {Role::attn_o, Part::bias, "transformer.h.{}.self_attention.dense.bias", ""},
    {.role = Role::ffn_norm,
     .part = Part::weight,
     .hf = "transformer.h.{}.post_attention_layernorm.weight",
     .gguf = "",
     .optional = true},
    {Role::ffn_norm, Part::bias, "transformer.h.{}.post_attention_layernorm.bias", ""},
    {Role::ffn_up, Part::weight, "transformer.h.{}.mlp.dense_h_to_4h.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_up, Part::bias, "transformer.h.{}.mlp.dense_h_to_4h.bias", ""},
    {Role::ffn_down, Part::weight, "transformer.h.{}.mlp.dense_4h_to_h.weight", "blk.{}.ffn_down.weight"},
    {Role::ffn_down, Part::bias, "transformer.h.{}.mlp.dense_4h_to_h.bias", ""},
    {Role::output_norm, Part::weight, "transformer.ln_f.weight", "output_norm.weight"},
    {Role::output_norm, Part::bias, "transformer.ln_f.bias", "output_norm.bias"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
};

constexpr dim kContext = 2048;  // where config.json does not say

void common(Config& out) {
  out.norm = NormKind::layer;
  out.gated = false;
  out.parallel_block = true;
  out.activation = Activation::gelu_erf;  // as trained; GGUF does not say
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  common(out);
  out.qkv_order = QkvOrder::by_head;
  out.norm_eps = keys.number_or("layer_norm_epsilon", 1e-5);
  out.activation = activation_from_hf(keys.text_or("activation", "gelu"));
  out.tied_embeddings = keys.flag_or("tie_word_embeddings", true);
  if (keys.flag_or("alibi", false))
    throw input_error(kConfigJson, "alibi: expected false, got true: positions are known by rotation only");
  const bool grouped = keys.flag_or("new_decoder_architecture", false);
  out.parallel_block = grouped || keys.flag_or("parallel_attn", true);
  if (!grouped && keys.flag_or("multi_query", true)) out.kv_heads = 1;
  if (out.ffn == 0) out.ffn = 4 * out.hidden;
  if (out.context == 0) out.context = kContext;
}

void from_gguf(const GgufMeta& meta, Config& out) {
  common(out);
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_epsilon"))));
}

void to_hf(const Config& config, nlohmann::json& out) {
  out["layer_norm_epsilon"] = config.norm_eps;
  out["activation"] = activation_to_hf(config.activation);
  out["new_decoder_architecture"] = true;  // the form that can say any number of key-value heads
  out["parallel_attn"] = true;
  out["alibi"] = false;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::gelu_erf)
    throw input_error(kConfigJson, "activation: expected gelu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (!config.parallel_block)
    throw input_error(kConfigJson, "parallel_attn: expected true, which GGUF implies for this family, got false");
  out.set(gguf_key(config, "attention.layer_norm_epsilon"), float(config.norm_eps));
}

}  // namespace

extern const Arch arch_falcon;
const Arch arch_falcon{.name = "falcon",
                       .hf_model_types = kModelTypes,
                       .hf_architecture = "FalconForCausalLM",
                       .tensors = kTensors,
                       .from_hf = from_hf,
                       .from_gguf = from_gguf,
                       .to_hf = to_hf,
                       .to_gguf = to_gguf,
                       .hf_bias_key = "bias",
                       .hf_norm_count_key = "num_ln_in_parallel_attn",
                       .hf_prefix = "transformer.",
                       .hf_sizes = kSizes};

}  // namespace pith
