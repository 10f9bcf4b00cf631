#include "model/sliding.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/printable.h"
#include "model/config_gguf.h"

namespace pith {

namespace {

constexpr dim kMostWindow = dim(1) << 30;
constexpr std::string_view kWindow = "attention.sliding_window";
constexpr std::string_view kPattern = "attention.sliding_window_pattern";

std::vector<bool> flags_of(const Config& c) {
  std::vector<bool> flags;
  for (dim l = 0; l < c.layers; ++l) flags.push_back(layer_slides(c, l));
  return flags;
}

}  // namespace

bool layer_slides(const Config& c, dim layer) {
  return c.sliding_window > 0 && !(c.sliding_pattern > 0 && (layer + 1) % c.sliding_pattern == 0);
}

void set_sliding_layers(Config& c, const std::vector<bool>& slides, std::string_view where) {
  const auto first_global = std::find(slides.begin(), slides.end(), false);
  c.sliding_pattern = first_global == slides.end() ? 0 : dim(first_global - slides.begin()) + 1;
  const bool none = std::find(slides.begin(), slides.end(), true) == slides.end();
  if (none) {
    c.sliding_window = 0;
    c.sliding_pattern = 0;
    return;
  }
  if (flags_of(c) != slides)
    throw input_error(where, "expected a window in all layers, in none, or in all but every n-th, got another pattern");
}

void read_layer_types(const JsonKeys& keys, Config& c) {
  if (c.sliding_window == 0 || !keys.has("layer_types")) return;
  const auto& list = keys.object.at("layer_types");
  if (!list.is_array() || dim(list.size()) != c.layers)
    throw input_error(keys.where, "{}layer_types: expected a list of {} names", keys.prefix, c.layers);
  std::vector<bool> slides;
  for (const auto& entry : list) {
    const std::string name = entry.is_string() ? entry.get<std::string>() : std::string();
    if (name != "sliding_attention" && name != "full_attention")
      throw input_error(keys.where, "{}layer_types: expected full_attention or sliding_attention, got {}", keys.prefix,
                        printable(name));
    slides.push_back(name == "sliding_attention");
  }
  set_sliding_layers(c, slides, keys.where);
}

void read_qwen_window(const JsonKeys& keys, Config& out) {
  if (!keys.flag_or("use_sliding_window", false)) return;
  out.sliding_window = keys.size_or("sliding_window", kMostWindow, 0);
  if (out.sliding_window == 0) return;
  if (keys.has("layer_types")) return read_layer_types(keys, out);
  const dim global = keys.size_or("max_window_layers", kMostWindow, 0);
  std::vector<bool> slides;
  for (dim l = 0; l < out.layers; ++l) slides.push_back(l >= global);
  set_sliding_layers(out, slides, keys.where);
}

std::vector<std::string> layer_types(const Config& c) {
  std::vector<std::string> types;
  for (dim l = 0; l < c.layers; ++l) types.emplace_back(layer_slides(c, l) ? "sliding_attention" : "full_attention");
  return types;
}

void read_sliding(const GgufMeta& meta, dim window, dim pattern, Config& out) {
  const std::string key = gguf_key(out, kWindow), pattern_key = gguf_key(out, kPattern);
  out.sliding_window = meta.find_int(key, window);
  if (out.sliding_window < 0 || out.sliding_window > kMostWindow)
    throw input_error("gguf", "key {}: expected 0 to {}, got {}", key, kMostWindow, out.sliding_window);
  out.sliding_pattern = out.sliding_window > 0 ? pattern : 0;
  if (out.sliding_window == 0 || !meta.has(pattern_key)) return;
  const auto stated = meta.find_ints(pattern_key);
  if (stated.size() == 1 && out.layers != 1) {  // every n-th layer is global
    if (stated[0] < 0 || stated[0] > out.layers + 1)
      throw input_error("gguf", "key {}: expected 0 to {}, got {}", pattern_key, out.layers + 1, stated[0]);
    out.sliding_pattern = stated[0];
    return;
  }
  if (dim(stated.size()) != out.layers)
    throw input_error("gguf", "key {}: expected {} flags, got {}", pattern_key, out.layers, stated.size());
  std::vector<bool> slides;
  for (const auto flag : stated) slides.push_back(flag != 0);
  set_sliding_layers(out, slides, "gguf");
}

void write_sliding(const Config& c, dim pattern, GgufMeta& out) {
  out.set(gguf_key(c, kWindow), std::uint32_t(c.sliding_window));
  if (c.sliding_window == 0) return;
  Config implied = c;
  implied.sliding_pattern = pattern;
  const std::vector<bool> flags = flags_of(c);
  if (flags_of(implied) != flags) out.set(gguf_key(c, kPattern), GgufArray{flags});
}

}  // namespace pith
