#include "core/error.h"

namespace pith {

static std::string compose(std::string_view where, std::string_view what, std::string_view hint) {
  return hint.empty() ? fmt::format("[{}] {}", where, what) : fmt::format("[{}] {}; hint: {}", where, what, hint);
}

Error::Error(Blame blame, std::string_view where, std::string_view what, std::string_view hint)
    : std::runtime_error(compose(where, what, hint)), blame_(blame) {}

void check_failed(const char* expression, const char* file, int line) {
  throw InternalError(fmt::format("{}:{}: check failed: {}", file, line, expression));
}

}  // namespace pith
