// OPT. Readers of GGUF do not know it.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/arch.h"
#include "model/config_hf.h"
#include "model/json_keys.h"

namespace pith {

namespace {

constexpr std::string_view kModelTypes[] = {"opt"};

constexpr SizeName kSizes[] = {{&Config::kv_heads, ""}, {&Config::head_dim, ""}, {&Config::ffn, "ffn_dim"}};

constexpr TensorName kTensors[] = {
    {Role::embed, Part::weight, "model.decoder.embed_tokens.weight", ""},
    {Role::pos_embed, Part::weight, "model.decoder.embed_positions.weight", ""},
    {Role::attn_norm, Part::weight, "model.decoder.layers.{}.self_attn_layer_norm.weight", ""},
    {Role::attn_norm, Part::bias, "model.decoder.layers.{}.self_attn_layer_norm.bias", ""},
    {Role::attn_q, Part::weight, "model.decoder.layers.{}.self_attn.q_proj.weight", ""},
    {Role::attn_q, Part::bias, "model.decoder.layers.{}.self_attn.q_proj.bias", ""},
    {Role::attn_k, Part::weight, "model.decoder.layers.{}.self_attn.k_proj.weight", ""},
    {Role::attn_k, Part::bias, "model.decoder.layers.{}.self_attn.k_proj.bias", ""},
    {Role::attn_v, Part::weight, "model.decoder.layers.{}.self_attn.v_proj.weight", ""},
    {Role::attn_v, Part::bias, "model.decoder.layers.{}.self_attn.v_proj.bias", ""},
    {Role::attn_o, Part::weight, "model.decoder.layers.{}.self_attn.out_proj.weight", ""},
    {Role::attn_o, Part::bias, "model.decoder.layers.{}.self_attn.out_proj.bias", ""},
    {Role::ffn_norm, Part::weight, "model.decoder.layers.{}.final_layer_norm.weight", ""},
    {Role::ffn_norm, Part::bias, "model.decoder.layers.{}.final_layer_norm.bias", ""},
    {Role::ffn_up, Part::weight, "model.decoder.layers.{}.fc1.weight", ""},
    {Role::ffn_up, Part::bias, "model.decoder.layers.{}.fc1.bias", ""},
    {Role::ffn_down, Part::weight, "model.decoder.layers.{}.fc2.weight", ""},
    {Role::ffn_down, Part::bias, "model.decoder.layers.{}.fc2.bias", ""},
    {Role::output_norm, Part::weight, "model.decoder.final_layer_norm.weight", ""},
    {Role::output_norm, Part::bias, "model.decoder.final_layer_norm.bias", ""},
    {.role = Role::lm_head, .part = Part::weight, .hf = "lm_head.weight", .gguf = "", .optional = true},
};

void expect_flag(const JsonKeys& keys, std::string_view key, bool expected) {
  if (keys.flag_or(key, expected) != expected)
    throw input_error(keys.where, "{}: expected {}, got {}", key, expected, !expected);
}

void from_hf(const nlohmann::json& config, Config& out) {
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  out.norm = NormKind::layer;
  out.norm_eps = 1e-5;
  out.gated = false;
  out.rope.on = false;
  out.position_offset = 2;
  out.activation = activation_from_hf(keys.text_or("activation_function", "relu"));
  out.tied_embeddings = keys.flag_or("tie_word_embeddings", true);
  const dim projected = keys.size_or("word_embed_proj_dim", dim(1) << 20, out.hidden);
  if (projected != out.hidden)
    throw Error(Blame::input, std::string(kConfigJson),
                fmt::format("word_embed_proj_dim: expected hidden_size {}, got {}", out.hidden, projected),
                "OPT-350M is built otherwise than its sisters");
  expect_flag(keys, "do_layer_norm_before", true);
  expect_flag(keys, "_remove_final_layer_norm", false);
  expect_flag(keys, "layer_norm_elementwise_affine", true);
}

[[noreturn]] void no_gguf() {
  throw Error(Blame::input, "gguf", "expected a family that GGUF's readers know, got opt", "use --to hf");
}

void from_gguf(const GgufMeta&, Config&) { no_gguf(); }
void to_hf(const Config&, nlohmann::json&) { throw InternalError("an OPT model from GGUF"); }
void to_gguf(const Config&, GgufMeta&) { no_gguf(); }

}  // namespace

extern const Arch arch_opt;
const Arch arch_opt{.name = "opt",
                    .hf_model_types = kModelTypes,
                    .hf_architecture = "OPTForCausalLM",
                    .tensors = kTensors,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf,
                    .to_hf = to_hf,
                    .to_gguf = to_gguf,
                    .hf_bias_key = "enable_bias",
                    .hf_prefix = "model.",
                    .hf_sizes = kSizes};

}  // namespace pith
