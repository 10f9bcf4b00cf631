// Runs the built program as a person would.
#pragma once
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace pith::test {

struct Ran {
  int exit_code = -1;
  std::string out;  // standard output
  std::string err;
};

inline std::string shell_quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// `command` runs in a shell; its two streams are kept apart.
inline Ran run_shell(const std::string& command) {
  Ran ran;
  std::string errors = std::string(::testing::TempDir()) + "pith-stderr-" + std::to_string(getpid());
  FILE* pipe = popen(("{ " + command + "\n} 2>" + shell_quote(errors)).c_str(), "r");
  std::array<char, 4096> chunk;
  for (std::size_t n; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) ran.out.append(chunk.data(), n);
  const int status = pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.err = read_file(errors);
  std::remove(errors.c_str());
  return ran;
}

inline Ran run_pith(const std::string& arguments) { return run_shell(shell_quote(PITH_BINARY) + " " + arguments); }

}  // namespace pith::test
