#include "model/config_keys.h"

#include <cmath>
#include <string>

#include "core/error.h"

namespace pith {

namespace {

constexpr SizeKey kSizeKeys[] = {
    {&Config::vocab, "vocab_size", "vocab_size", dim(1) << 28},
    {&Config::hidden, "hidden_size", "embedding_length", dim(1) << 20},
    {&Config::layers, "num_hidden_layers", "block_count", 10000},
    {&Config::heads, "num_attention_heads", "attention.head_count", dim(1) << 16},
    {&Config::kv_heads, "num_key_value_heads", "attention.head_count_kv", dim(1) << 16, true},
    {&Config::head_dim, "head_dim", "attention.key_length", dim(1) << 16, true},
    {&Config::ffn, "intermediate_size", "feed_forward_length", dim(1) << 24},
    {&Config::context, "max_position_embeddings", "context_length", dim(1) << 31},
};

// Names keys in messages as the user's file spells them.
struct Speller {
  const Spelling& spelling;
  std::string_view arch;
  std::string operator()(dim Config::*field) const {
    for (const SizeKey& key : kSizeKeys)
      if (key.field == field) return (*this)(spelling.in_hf(key).hf, key.gguf);
    return {};
  }
  std::string operator()(std::string_view hf_key, std::string_view gguf_key) const {
    return spelling.hf ? std::string(hf_key) : fmt::format("{}.{}", arch, gguf_key);
  }
};

void check_longrope(const Config& c, std::string_view where) {
  for (const auto* factors : {&c.rope.freq_factors, &c.rope.long_factors}) {
    if (factors->empty()) continue;  // tensors may bring them
    if (dim(factors->size()) != c.rope.dims / 2)
      throw input_error(where, "rope_scaling: expected {} short and long factors, got {}", c.rope.dims / 2,
                        factors->size());
    for (const float f : *factors)
      if (!(f > 0) || !std::isfinite(f))
        throw input_error(where, "rope_scaling: expected finite factors above 0, got {}", f);
  }
}

void check_rope(const Config& c, std::string_view where, const Speller& key) {
  const Rope& r = c.rope;
  const auto positive = [&](double v, double most, std::string_view hf_key, std::string_view gguf_key) {
    if (!(v > 0) || !(v <= most))
      throw input_error(where, "{}: expected a number above 0 and up to {}, got {}", key(hf_key, gguf_key), most, v);
  };
  if (r.dims < 2 || r.dims % 2 != 0 || r.dims > c.head_dim)
    throw input_error(where, "{}: expected an even number from 2 to {} of rotated dimensions, got {}",
                      key("head_dim", "rope.dimension_count"), c.head_dim, r.dims);
  positive(r.base, 1e15, "rope_theta", "rope.freq_base");
  if (r.scaling == RopeScaling::none) return;
  positive(r.factor, 1e9, "rope_scaling.factor", "rope.scaling.factor");
  positive(r.attn_factor, 1e6, "rope_scaling.attention_factor", "rope.scaling.attn_factor");
  positive(r.beta_fast, 1e6, "rope_scaling.beta_fast", "rope.scaling.yarn_beta_fast");
  positive(r.beta_slow, 1e6, "rope_scaling.beta_slow", "rope.scaling.yarn_beta_slow");
  if (r.scaling == RopeScaling::longrope) check_longrope(c, where);
  const bool needs_original =
      r.scaling == RopeScaling::llama3 || r.scaling == RopeScaling::yarn || r.scaling == RopeScaling::longrope;
  if (needs_original)
    positive(double(r.original_context), double(dim(1) << 31), "rope_scaling.original_max_position_embeddings",
             "rope.scaling.original_context_length");
  if (r.scaling == RopeScaling::llama3 && !(r.low_freq_factor > 0 && r.low_freq_factor < r.high_freq_factor))
    throw input_error(
        where, "rope_scaling.low_freq_factor: expected a number above 0 and below high_freq_factor, got {} and {}",
        r.low_freq_factor, r.high_freq_factor);
}

}  // namespace

std::span<const SizeKey> size_keys() { return kSizeKeys; }

SizeName Spelling::in_hf(const SizeKey& key) const {
  for (const SizeName& name : own)
    if (name.field == key.field) return name;
  return {key.field, key.hf, key.optional};
}

void complete_config(Config& c, std::string_view where, const Spelling& spelling) {
  const Speller key{spelling, c.arch};
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.heads % c.kv_heads != 0)
    throw input_error(where, "{}: expected a divisor of {} = {}, got {}", key(&Config::kv_heads), key(&Config::heads),
                      c.heads, c.kv_heads);
  if (c.head_dim == 0) {
    if (c.hidden % c.heads != 0)
      throw input_error(where, "{}: expected a divisor of {} = {}, got {}", key(&Config::heads), key(&Config::hidden),
                        c.hidden, c.heads);
    c.head_dim = c.hidden / c.heads;
  }
  if (!(c.norm_eps >= 0 && c.norm_eps < 1))
    throw input_error(where, "{}: expected a number from 0 to 1, got {}",
                      key("rms_norm_eps", "attention.layer_norm_rms_epsilon"), c.norm_eps);
  if (!c.rope.on) return;
  if (c.rope.dims == 0) c.rope.dims = c.head_dim;
  check_rope(c, where, key);
}

double decimal(float value) { return std::isfinite(value) ? std::stod(fmt::format("{}", value)) : double(value); }

}  // namespace pith
