// Phi 3, 3.5 and 4.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_gguf.h"
#include "model/config_hf.h"
#include "model/config_keys.h"
#include "model/json_keys.h"
#include "model/rope_scaling.h"
#include "model/sliding.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"phi3"};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::attn_norm, Part::weight, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {Role::attn_qkv, Part::weight, "model.layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight"},
    {Role::attn_o, Part::weight, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {Role::ffn_norm, Part::weight, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {Role::ffn_gate_up, Part::weight, "model.layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight"},
    {Role::ffn_down, Part::weight, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {Role::output_norm, Part::weight, "model.norm.weight", "output_norm.weight"},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "output.weight", .optional = true},
    {.role = Role::rope_long_factors,
     .part = Part::weight,
     .hf = "",
     .gguf = "rope_factors_long.weight",
     .optional = true},
    {.role = Role::rope_factors, .part = Part::weight, .hf = "", .gguf = "rope_factors_short.weight", .optional = true},
};

constexpr dim kOriginalContext = 4096;

dim head_size(const Config& c) { return c.head_dim > 0 ? c.head_dim : c.hidden / c.heads; }

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm_eps = keys.number("rms_norm_eps");
  out.activation = activation_from_hf(keys.text_or("hidden_act", "silu"));
  out.sliding_window = keys.size_or("sliding_window", dim(1) << 30, 0);
  out.rope.dims = rotated_dims(keys, head_size(out), 1);
  if (out.rope.original_context == 0) out.rope.original_context = kOriginalContext;
}

void from_gguf(const GgufMeta& meta, Config& out) {
  out.norm_eps = decimal(float(meta.get_float(gguf_key(out, "attention.layer_norm_rms_epsilon"))));
  read_sliding(meta, 0, 0, out);
  // That it is scaled the tensors with the factors tell.
  out.rope.attn_factor = decimal(float(meta.find_float(gguf_key(out, "rope.scaling.attn_factor"), 1)));
  const std::string original = gguf_key(out, "rope.scaling.original_context_length");
  out.rope.original_context = meta.find_int(original, out.context);
  if (out.rope.original_context < 1 || out.rope.original_context > dim(1) << 31)
    throw input_error("gguf", "key {}: expected 1 to 2^31, got {}", original, out.rope.original_context);
}

void to_hf(const Config& config, nlohmann::json& out) {
  const Rope& rope = config.rope;
  out["rms_norm_eps"] = config.norm_eps;
  out["hidden_act"] = activation_to_hf(config.activation);
  out["sliding_window"] = nullptr;
  if (config.sliding_window > 0) out["sliding_window"] = config.sliding_window;
  out["original_max_position_embeddings"] = rope.original_context;
  out["partial_rotary_factor"] = double(rope.dims) / double(config.head_dim);
  if (rope.scaling != RopeScaling::longrope) return;
  const double implied =
      longrope_attn_factor(double(config.context) / double(rope.original_context), rope.original_context);
  if (std::abs(rope.attn_factor / implied - 1) > 1e-5)
    throw input_error("gguf", "key {}: expected {}, which config.json implies, got {}",
                      gguf_key(config, "rope.scaling.attn_factor"), implied, rope.attn_factor);
}

void to_gguf(const Config& config, GgufMeta& out) {
  if (config.activation != Activation::silu)
    throw input_error(kConfigJson, "hidden_act: expected silu, which GGUF implies for this family, got {}",
                      activation_to_hf(config.activation));
  out.set(gguf_key(config, "attention.layer_norm_rms_epsilon"), float(config.norm_eps));
  out.set(gguf_key(config, "attention.sliding_window"), std::uint32_t(config.sliding_window));
  out.set(gguf_key(config, "rope.scaling.original_context_length"), std::uint32_t(config.rope.original_context));
}

}  // namespace

extern const Arch arch_phi3;
const Arch arch_phi3{.name = "phi3",
                     .hf_model_types = kModelTypes,
                     .hf_architecture = "Phi3ForCausalLM",
                     .tensors = kTensors,
                     .from_hf = from_hf,
                     .from_gguf = from_gguf,
                     .to_hf = to_hf,
                     .to_gguf = to_gguf};

}  // namespace pith
