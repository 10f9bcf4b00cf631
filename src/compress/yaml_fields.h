// Maps of YAML whose keys are known: faults say the file and the line. Heavy: for sources that read YAML.
#pragma once
#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base.h"
#include "core/error.h"

namespace pith {

class YamlFields {
 public:
  // What is done with the value of each key.
  using Keys = std::map<std::string, std::function<void(const YAML::Node&)>, std::less<>>;

  explicit YamlFields(std::string_view file) : file_(file) {}
  Error fault(const YAML::Node& at, std::string_view what) const;  // Error(input)

  // Each throws the fault of a value that is something else.
  std::string scalar(const YAML::Node& node) const;
  dim number(const YAML::Node& node, dim low, dim high) const;
  bool flag(const YAML::Node& node) const;
  void list(const YAML::Node& node, const std::function<void(const YAML::Node&)>& each) const;
  // "a recipe": what the map is, in the message where there is none. Unknown and doubled keys are faults.
  void each_of(const YAML::Node& map, std::string_view what, const Keys& keys) const;

  // What the library says of a value, with the line it stands in.
  template <class Parse>
  auto at(const YAML::Node& node, const Parse& parse) const {
    try {
      return parse(scalar(node));
    } catch (const Error& e) {
      throw fault(node, e.what());
    }
  }

 private:
  std::string file_;
};

}  // namespace pith
