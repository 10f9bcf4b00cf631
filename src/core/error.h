// Errors by blame. The library throws; only main() catches, prints and chooses the exit code.
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace pith {

enum class Blame { input, environment };  // a bad file, option or shape; or disk, memory, network

// A fault the user can act on: where it was found, what was expected and what came, and a hint.
class Error : public std::runtime_error {
 public:
  Error(Blame blame, std::string_view where, std::string_view what, std::string_view hint = {});
  Blame blame() const { return blame_; }

 private:
  Blame blame_;
};

// A bug of ours, never reachable from input alone.
class InternalError : public std::logic_error {
  using std::logic_error::logic_error;
};

// throw input_error("gguf", "expected version 2 or 3, got {}", v);   the hint, when there is one, is
// part of the message after "; hint: ".
template <class... A>
[[nodiscard]] Error input_error(std::string_view where, fmt::format_string<A...> f, A&&... a) {
  return Error(Blame::input, where, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
[[nodiscard]] Error environment_error(std::string_view where, fmt::format_string<A...> f, A&&... a) {
  return Error(Blame::environment, where, fmt::format(f, std::forward<A>(a)...));
}

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace pith

// For our own invariants only; data from outside is tested with `if (...) throw input_error(...)`.
#define PITH_CHECK(expression) ((expression) ? (void)0 : ::pith::check_failed(#expression, __FILE__, __LINE__))
