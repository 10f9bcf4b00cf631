#include "compress/recipe.h"

#include <algorithm>
#include <charconv>

#include "compress/method.h"
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

void add_layers(std::string_view range, std::string_view all, std::vector<dim>& layers) {
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

bool knows(const Method& m, std::string_view option) {
  return std::any_of(m.options.begin(), m.options.end(),
                     [&](const OptionSpec& o) { return o.name == option.substr(0, option.find('=')); });
}

}  // namespace

bool Selection::has(const ModelTensor& t) const {
  if (t.part == Part::bias || t.vector) return false;
  const bool role = roles.empty() ? is_linear(t.role) : std::count(roles.begin(), roles.end(), t.role) > 0;
  return role && (layers.empty() || std::count(layers.begin(), layers.end(), t.layer) > 0);
}

Selection parse_selection(std::string_view text) {
  Selection out;
  const auto at = text.find('@');
  const std::string_view roles = text.substr(0, at);
  if (roles != "*")
    for (const auto name : split(roles, '|')) out.roles.push_back(matrix_role(name));
  if (at != text.npos)
    for (const auto range : split(text.substr(at + 1), ',')) add_layers(range, text, out.layers);
  return out;
}

std::string selection_text(const Selection& s) {
  std::string out;
  for (const Role role : s.roles) out += fmt::format("{}{}", out.empty() ? "" : "|", role_name(role));
  if (out.empty()) out = "*";
  for (std::size_t i = 0; i < s.layers.size();) {
    std::size_t last = i;
    while (last + 1 < s.layers.size() && s.layers[last + 1] == s.layers[last] + 1) ++last;
    out += i == 0 ? "@" : ",";
    out += last > i ? fmt::format("{}-{}", s.layers[i], s.layers[last]) : fmt::format("{}", s.layers[i]);
    i = last + 1;
  }
  return out;
}

Override parse_override(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos)
    throw input_error("override", "expected ROLES[@LAYERS]=FORMAT such as attn_v|ffn_down@0-1,5=q6_k, got '{}'", text);
  const Format& format = format_or_throw(text.substr(equals + 1));
  return {parse_selection(text.substr(0, equals)), &format};
}

std::string override_text(const Override& o) { return selection_text(o.where) + "=" + std::string(o.format->name); }

std::vector<Step> steps_of(std::string_view chain, const std::vector<std::string>& options) {
  std::vector<const Method*> methods;
  for (const auto name : split(chain, '+')) {
    const Method& method = method_or_throw(name);
    if (!methods.empty() && !methods.back()->prepares() && method.layer)
      throw input_error("method", "expected a method that prepares the model before the +, got '{}'",
                        methods.back()->name);
    methods.push_back(&method);
  }
  std::vector<Step> steps;
  for (const Method* m : methods) steps.push_back({.method = std::string(m->name), .options = {}, .where = {}});
  give_options(steps, options);
  return steps;
}

void give_options(std::vector<Step>& steps, const std::vector<std::string>& options) {
  PITH_CHECK(!steps.empty() || options.empty());
  for (const std::string& option : options) {
    bool known = false;
    for (Step& step : steps) {
      if (!knows(method_or_throw(step.method), option)) continue;
      step.options.push_back(option);
      known = true;
    }
    if (!known) steps.back().options.push_back(option);
  }
}

std::string steps_text(const Recipe& recipe) {
  std::string out;
  for (const Step& step : recipe.steps) {
    out += (out.empty() ? "" : "+") + step.method;
    if (!step.where.all()) out += "[" + selection_text(step.where) + "]";
  }
  return out.empty() ? "rtn" : out;
}

bool needs_text(const Recipe& recipe) {
  return std::any_of(recipe.steps.begin(), recipe.steps.end(), [](const Step& s) {
    const Method& m = method_or_throw(s.method);
    return m.needs != Needs::nothing || (m.fisher && m.fisher(Options(m.name, m.options, s.options)));
  });
}

bool reshapes(const Recipe& recipe) {
  return std::any_of(recipe.steps.begin(), recipe.steps.end(),
                     [](const Step& s) { return method_or_throw(s.method).reshape != nullptr; });
}

bool needs_moments(const Recipe& recipe) {
  return std::any_of(recipe.steps.begin(), recipe.steps.end(),
                     [](const Step& s) { return method_or_throw(s.method).needs == Needs::moments; });
}

}  // namespace pith
