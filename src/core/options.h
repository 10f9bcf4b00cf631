// Options of methods as data: the command line, help, recipes and the docs are all made from these.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

struct OptionSpec {
  std::string_view name;           // "range"
  std::string_view default_value;  // "search"
  std::string_view help;
  std::vector<std::string_view> choices;  // empty: any number in [low, high]
  double low = 0;
  double high = 0;
  // A text instead of numbers: empty where it is allowed, else what is expected.
  std::string (*fault)(std::string_view text) = nullptr;
};

// "name", or "name:option=value,option=value".
struct NamedOptions {
  std::string name;
  std::vector<std::string> given;  // "option=value" each
};
NamedOptions named_options(std::string_view text);

// Values given by name over their specs; every getter throws Error(input) that lists what is allowed.
class Options {
 public:
  Options() = default;
  // Each of `given` is "name=value". Unknown names and illegal values are refused here.
  Options(std::string_view owner, const std::vector<OptionSpec>& specs, const std::vector<std::string>& given);
  const std::string& text(std::string_view name) const;
  double number(std::string_view name) const;
  const std::map<std::string, std::string, std::less<>>& all() const { return values_; }  // with the defaults

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace pith
