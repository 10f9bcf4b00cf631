#include <fmt/format.h>

#include <algorithm>

#include "compress/method.h"
#include "core/error.h"

namespace pith {

#define PITH_METHOD(name) extern const Method name##_method;
#include "compress/methods.def"
#undef PITH_METHOD

static constexpr const Method* kMethods[] = {
#define PITH_METHOD(name) &name##_method,
#include "compress/methods.def"
#undef PITH_METHOD
};

std::span<const Method* const> all_methods() { return kMethods; }

const Method& method_or_throw(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Method* method : kMethods) {
    if (method->name == name) return *method;
    names.push_back(method->name);
  }
  throw input_error("method", "expected one of {}, got '{}'", fmt::join(names, ", "), name);
}

std::vector<const Method*> method_chain(std::string_view names) {
  std::vector<const Method*> chain;
  for (bool more = true; more;) {
    const std::size_t plus = names.find('+');
    chain.push_back(&method_or_throw(names.substr(0, plus)));
    more = plus != names.npos;
    if (!more) break;
    names.remove_prefix(plus + 1);
    if (!chain.back()->scale)
      throw input_error("method", "expected a method that scales before the +, got '{}'", chain.back()->name);
  }
  return chain;
}

bool needs_moments(std::span<const Method* const> chain) {
  return std::any_of(chain.begin(), chain.end(), [](const Method* m) { return m->needs == Needs::moments; });
}

}  // namespace pith
