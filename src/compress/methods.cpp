#include <fmt/format.h>

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

}  // namespace pith
