#include "compress/yaml_fields.h"

#include <set>

namespace pith {

Error YamlFields::fault(const YAML::Node& at, std::string_view what) const {
  return Error(Blame::input, fmt::format("{}, line {}", file_, at.Mark().line + 1), what);
}

std::string YamlFields::scalar(const YAML::Node& node) const {
  if (!node.IsScalar()) throw fault(node, "expected one value");
  return node.Scalar();
}

dim YamlFields::number(const YAML::Node& node, dim low, dim high) const {
  dim value = -1;
  if (!node.IsScalar() || !YAML::convert<dim>::decode(node, value) || value < low || value > high)
    throw fault(node, fmt::format("expected a whole number from {} to {}", low, high));
  return value;
}

bool YamlFields::flag(const YAML::Node& node) const {
  bool value = false;
  if (!node.IsScalar() || !YAML::convert<bool>::decode(node, value)) throw fault(node, "expected true or false");
  return value;
}

void YamlFields::list(const YAML::Node& node, const std::function<void(const YAML::Node&)>& each) const {
  if (!node.IsSequence()) throw fault(node, "expected a list");
  for (const YAML::Node& item : node) each(item);
}

void YamlFields::each_of(const YAML::Node& map, std::string_view what, const Keys& keys) const {
  if (!map.IsMap()) throw fault(map, fmt::format("expected {}: keys and values", what));
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = scalar(entry.first);
    const auto found = keys.find(key);
    if (found == keys.end()) {
      std::string known;
      for (const auto& [name, unused] : keys) known += (known.empty() ? "" : ", ") + name;
      throw fault(entry.first, fmt::format("expected one of {}, got '{}'", known, key));
    }
    if (!seen.insert(key).second) throw fault(entry.first, fmt::format("expected '{}' once", key));
    found->second(entry.second);
  }
}

}  // namespace pith
