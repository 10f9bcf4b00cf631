#include "model/config_gguf.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "io/printable.h"
#include "model/config_keys.h"
#include "model/rope_scaling.h"

namespace pith {

namespace {

constexpr std::string_view kWhere = "gguf";

// 0 when absent. Some files give one value per layer; they must agree.
dim size_at(const GgufMeta& meta, const std::string& key, dim most) {
  if (!meta.has(key)) return 0;
  const auto values = meta.find_ints(key);
  if (values.empty()) throw input_error(kWhere, "key {}: expected a whole number, got another kind", key);
  for (const auto v : values) {
    if (v < 1 || v > most) throw input_error(kWhere, "key {}: expected 1 to {}, got {}", key, most, v);
    if (v != values[0])
      throw input_error(kWhere, "key {}: expected one value for all layers, got {} and {}", key, values[0], v);
  }
  return values[0];
}

double number_at(const GgufMeta& meta, const std::string& key, double otherwise) {
  return meta.has(key) ? decimal(float(meta.get_float(key))) : otherwise;
}

void read_longrope(const GgufMeta& meta, Config& c) {
  c.rope.scaling = RopeScaling::longrope;  // the factors are tensors
  const dim original = size_at(meta, gguf_key(c, "rope.scaling.original_context_length"), dim(1) << 31);
  c.rope.original_context = original > 0 ? original : c.context;
  c.rope.attn_factor = number_at(meta, gguf_key(c, "rope.scaling.attn_factor"), 1);
}

void read_scaling(const GgufMeta& meta, Config& c) {
  Rope& r = c.rope;
  const std::string type = meta.find_string(gguf_key(c, "rope.scaling.type"), "none");
  if (type == "none") return;
  r.factor = number_at(meta, gguf_key(c, "rope.scaling.factor"), 1);
  if (type == "linear") {
    r.scaling = RopeScaling::linear;
    return;
  }
  if (type == "longrope") return read_longrope(meta, c);
  if (type != "yarn")
    throw input_error(kWhere, "key {}: expected none, linear, yarn or longrope, got {}",
                      gguf_key(c, "rope.scaling.type"), printable(type));
  r.scaling = RopeScaling::yarn;
  const dim original = size_at(meta, gguf_key(c, "rope.scaling.original_context_length"), dim(1) << 31);
  r.original_context = original > 0 ? original : c.context;
  // the file's factor comes on top of YaRN's own
  r.attn_factor = yarn_attn_factor(r.factor) * number_at(meta, gguf_key(c, "rope.scaling.attn_factor"), 1);
  r.beta_fast = number_at(meta, gguf_key(c, "rope.scaling.yarn_beta_fast"), 32);
  r.beta_slow = number_at(meta, gguf_key(c, "rope.scaling.yarn_beta_slow"), 1);
}

void write_scaling(const Config& c, GgufMeta& out) {
  const Rope& r = c.rope;
  if (r.scaling == RopeScaling::longrope) {
    out.set(gguf_key(c, "rope.scaling.type"), std::string("longrope"));
    out.set(gguf_key(c, "rope.scaling.original_context_length"), std::uint32_t(r.original_context));
    out.set(gguf_key(c, "rope.scaling.attn_factor"), float(r.attn_factor));
    return;
  }
  // llama3 is a tensor there; dynamic scaling is none within the trained context, which is what GGUF describes
  if (r.scaling != RopeScaling::linear && r.scaling != RopeScaling::yarn) return;
  out.set(gguf_key(c, "rope.scaling.type"), std::string(r.scaling == RopeScaling::linear ? "linear" : "yarn"));
  out.set(gguf_key(c, "rope.scaling.factor"), float(r.factor));
  if (r.scaling != RopeScaling::yarn) return;
  out.set(gguf_key(c, "rope.scaling.original_context_length"), std::uint32_t(r.original_context));
  const double on_top = r.attn_factor / yarn_attn_factor(r.factor);
  if (std::abs(on_top - 1) > 1e-6) out.set(gguf_key(c, "rope.scaling.attn_factor"), float(on_top));
  if (r.beta_fast != 32) out.set(gguf_key(c, "rope.scaling.yarn_beta_fast"), float(r.beta_fast));
  if (r.beta_slow != 1) out.set(gguf_key(c, "rope.scaling.yarn_beta_slow"), float(r.beta_slow));
}

}  // namespace

std::string gguf_key(const Config& config, std::string_view suffix) {
  return fmt::format("{}.{}", config.arch, suffix);
}

Config config_from_gguf(const GgufMeta& meta, const Arch& arch) {
  Config c;
  c.arch = arch.name;
  for (const SizeKey& key : size_keys()) {
    const std::string name = gguf_key(c, key.gguf);
    c.*key.field = size_at(meta, name, key.most);
    const bool optional = key.optional || key.field == &Config::vocab;
    if (c.*key.field == 0 && !optional) throw input_error(kWhere, "expected key {}, it is missing", name);
  }
  const dim value_length = size_at(meta, gguf_key(c, "attention.value_length"), dim(1) << 16);
  if (value_length != 0 && c.head_dim != 0 && value_length != c.head_dim)
    throw input_error(kWhere, "key {}: expected the key length {}, got {}", gguf_key(c, "attention.value_length"),
                      c.head_dim, value_length);
  c.rope.base = number_at(meta, gguf_key(c, "rope.freq_base"), 10000);
  c.rope.dims = size_at(meta, gguf_key(c, "rope.dimension_count"), dim(1) << 16);
  read_scaling(meta, c);
  c.rotated_down = meta.find_bool(std::string(kGgufRotatedDown), false);
  arch.from_gguf(meta, c);
  complete_config(c, kWhere, {});
  return c;
}

void config_to_gguf(const Config& c, const Arch& arch, GgufMeta& out) {
  out.set("general.architecture", std::string(arch.name));
  for (const SizeKey& key : size_keys()) out.set(gguf_key(c, key.gguf), std::uint32_t(c.*key.field));
  out.set(gguf_key(c, "attention.value_length"), std::uint32_t(c.head_dim));
  if (c.rope.on) {
    out.set(gguf_key(c, "rope.dimension_count"), std::uint32_t(c.rope.dims));
    out.set(gguf_key(c, "rope.freq_base"), float(c.rope.base));
    write_scaling(c, out);
  }
  out.erase(kGgufRotatedDown);
  if (c.rotated_down) out.set(std::string(kGgufRotatedDown), true);
  arch.to_gguf(c, out);
}

}  // namespace pith
