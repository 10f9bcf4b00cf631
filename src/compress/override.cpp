// "attn_v|ffn_down@0-1,5=q6_k" as an Override.
#include <charconv>

#include "compress/pipeline.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr dim kMostLayers = 100000;  // of a range, so that a slip of the pen does not fill the memory

// The parts between separators; "" gives one empty part.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

dim layer_number(std::string_view digits, std::string_view all) {
  dim layer = -1;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  if (digits.empty() || fault != std::errc() || end != digits.data() + digits.size() || layer < 0 ||
      layer >= kMostLayers)
    throw input_error("override", "expected layers as 0-3,7 (each below {}), got '{}' in '{}'", kMostLayers, digits,
                      all);
  return layer;
}

void append_layers(std::string_view range, std::string_view all, std::vector<dim>& layers) {
  const auto ends = split(range, '-');
  const dim first = layer_number(ends[0], all), last = layer_number(ends.back(), all);
  if (ends.size() > 2 || last < first)
    throw input_error("override", "expected a range of layers as first-last, got '{}' in '{}'", range, all);
  if (dim(layers.size()) + last - first >= kMostLayers)
    throw input_error("override", "expected fewer than {} layers in '{}'", kMostLayers, all);
  for (dim layer = first; layer <= last; ++layer) layers.push_back(layer);
}

Role matrix_role(std::string_view name) {
  const Role role = role_or_throw(name);
  if (is_norm(role) || role == Role::rope_factors || role == Role::rope_long_factors || role == Role::other)
    throw input_error("override", "expected the role of a matrix, got '{}': vectors keep full precision", name);
  return role;
}

}  // namespace

Override parse_override(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos)
    throw input_error("override", "expected ROLES[@LAYERS]=FORMAT such as attn_v|ffn_down@0-1,5=q6_k, got '{}'", text);
  Override out;
  out.format = &format_or_throw(text.substr(equals + 1));
  const std::string_view target = text.substr(0, equals);
  const auto at = target.find('@');
  const std::string_view roles = target.substr(0, at);
  if (roles != "*")
    for (const auto name : split(roles, '|')) out.roles.push_back(matrix_role(name));
  if (at != target.npos)
    for (const auto range : split(target.substr(at + 1), ',')) append_layers(range, text, out.layers);
  return out;
}

std::string override_text(const Override& o) {
  std::string out;
  for (const Role role : o.roles) out += fmt::format("{}{}", out.empty() ? "" : "|", role_name(role));
  if (out.empty()) out = "*";
  for (std::size_t i = 0; i < o.layers.size();) {
    std::size_t last = i;
    while (last + 1 < o.layers.size() && o.layers[last + 1] == o.layers[last] + 1) ++last;
    out += i == 0 ? "@" : ",";
    out += last > i ? fmt::format("{}-{}", o.layers[i], o.layers[last]) : fmt::format("{}", o.layers[i]);
    i = last + 1;
  }
  return out + "=" + std::string(o.format->name);
}

}  // namespace pith
