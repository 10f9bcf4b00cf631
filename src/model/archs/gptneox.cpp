// GPT-NeoX and Pythia.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"gpt_neox"};

constexpr SizeName kSizes[] = {{&Config::kv_heads, ""}, {&Config::head_dim, ""}};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "gpt_neox.embed_in.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "gpt_neox.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_norm, Part::bias, "gpt_neox.layers.{}.input_layernorm.bias", "blk.{}.attn_norm.bias"},
    {.role = Role::attn_qkv,
     .part = Part::weight,
     .hf = "gpt_neox.layers.{}.attention.query_key_value.weight",
     .gguf = "blk.{}.attn_qkv.weight",
     .by_head = true},
    {.role = Role::attn_qkv,
     .part = Part::bias,
     .hf = "gpt_neox.layers.{}.attention.query_key_value.bias",
     .gguf = "blk.{}.attn_qkv.bias",
     .by_head = true},
    {Role::attn_o, Part::weight, "gpt_neox.layers.{}.attention.dense.weight", "blk.{}.attn_output.weight"},
    {Role::attn_o, Part::bias, "gpt_neox.layers.{}.attention.dense.bias", "blk.{}.attn_output.bias"},
    {Role::ffn_norm, Part::weight, "gpt_neox.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {Role::ffn_norm, Part::bias, "gpt_neox.layers.{}.post_attention_layernorm.bias", "blk.{}.ffn_norm.bias"},
    {Role::ffn_up, Part::weight, "gpt_neox.layers.{}.mlp.dense_h_to_4h.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_up, Part::bias, "gpt_neox.layers.{}.mlp.dense_h_to_4h.bias", "blk.{}.ffn_up.bias"},
    {Role::ffn_down, Part::weight, "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight", "blk.{}.ffn_down.weight"},
    {Role::ffn_down, Part::bias, "gpt_neox.layers.{}.mlp.dense_4h_to_h.bias", "blk.{}.ffn_down.bias"},
    {Role::output_norm, Part::weight, "gpt_neox.final_layer_norm.weight", "output_norm.weight"},
    {Role::output_norm, Part::bias, "gpt_neox.final_layer_norm.bias", "output_norm.bias"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "embed_out.weight", .gguf = "output.weight", .optional = true},
};

void common(Config& out) {
  out.norm = NormKind::layer;
  out.gated = false;
  out.activation = Activation::gelu_erf;  // what Pythia was trained with; GGUF does not say
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  common(out);
  out.qkv_order = QkvOrder::by_head;
  out.norm_eps = keys.number_or("layer_norm_eps", 1e-5);
  out.activation = activation_from_hf(keys.text_or("hidden_act", "gelu"));
  out.parallel_block = keys.flag_or("use_parallel_residual", true);
  out.rope.dims = rotated_dims(keys, out.hidden / out.heads, keys.number_or("rotary_pct", 0.25));
  out.rope.base = keys.number_or("rotary_emb_base", out.rope.base);
  if (!keys.flag_or("attention_bias", true)) throw input_error(kConfigJson, "attention_bias: expected true, got false");
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
  out["rotary_pct"] = double(config.rope.dims) / double(config.head_dim);
  out["rotary_emb_base"] = config.rope.base;
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::gelu_erf && config.activation != Activation::gelu_tanh)
    throw input_error(kConfigJson, "hidden_act: expected gelu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  if (config.tied_embeddings)
    throw input_error(kConfigJson,
                      "tie_word_embeddings: expected false, since GGUF needs output.weight for this family");
  out.set(gguf_key(config, "attention.layer_norm_epsilon"), float(config.norm_eps));
  out.set(gguf_key(config, "use_parallel_residual"), config.parallel_block);
}

}  // namespace

extern const Arch arch_gptneox;
const Arch arch_gptneox{.name = "gptneox",
                        .hf_model_types = kModelTypes,
                        .hf_architecture = "GPTNeoXForCausalLM",
                        .tensors = kTensors,
                        .from_hf = from_hf,
                        .from_gguf = from_gguf,
                        .to_hf = to_hf,
                        .to_gguf = to_gguf,
                        .hf_sizes = kSizes};

}  // namespace pith
