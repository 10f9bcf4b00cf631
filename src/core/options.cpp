#include "core/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace pith {

NamedOptions named_options(std::string_view text) {
  const auto colon = text.find(':');
  NamedOptions out{std::string(text.substr(0, colon)), {}};
  if (colon == text.npos) return out;
  for (text.remove_prefix(colon + 1);;) {
    const auto comma = text.find(',');
    out.given.emplace_back(text.substr(0, comma));
    if (comma == text.npos) return out;
    text.remove_prefix(comma + 1);
  }
}

static void check_value(std::string_view owner, const OptionSpec& spec, std::string_view value) {
  if (!spec.choices.empty()) {
    if (std::find(spec.choices.begin(), spec.choices.end(), value) == spec.choices.end())
      throw input_error(owner, "option {}: expected one of {}, got '{}'", spec.name, fmt::join(spec.choices, ", "),
                        value);
    return;
  }
  if (spec.fault) {
    const std::string expected = spec.fault(value);
    if (!expected.empty()) throw input_error(owner, "option {}: expected {}, got '{}'", spec.name, expected, value);
    return;
  }
  double number = 0;
  const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (fault != std::errc() || end != value.data() + value.size() || !(number >= spec.low && number <= spec.high))
    throw input_error(owner, "option {}: expected a number from {} to {}, got '{}'", spec.name, spec.low, spec.high,
                      value);
}

Options::Options(std::string_view owner, const std::vector<OptionSpec>& specs, const std::vector<std::string>& given) {
  for (const auto& spec : specs) values_.emplace(spec.name, spec.default_value);
  for (const std::string_view item : given) {
    const auto equals = item.find('=');
    const auto name = item.substr(0, equals);
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
    if (equals == item.npos || spec == specs.end()) {
      std::vector<std::string_view> names;
      for (const auto& s : specs) names.push_back(s.name);
      throw input_error(owner, "expected an option as name=value with a name of {{{}}}, got '{}'",
                        fmt::join(names, ", "), item);
    }
    check_value(owner, *spec, item.substr(equals + 1));
    values_[std::string(name)] = item.substr(equals + 1);
  }
}

const std::string& Options::text(std::string_view name) const {
  const auto found = values_.find(name);
  PITH_CHECK(found != values_.end());
  return found->second;
}

double Options::number(std::string_view name) const {
  const std::string& value = text(name);
  double number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

}  // namespace pith
