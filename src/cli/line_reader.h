// Lines from standard input, where Ctrl-C must not end the program.
#pragma once
#include <atomic>
#include <string>

namespace pith::cli {

// While one is alive, Ctrl-C sets `flag` instead of ending the program.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  static std::atomic<bool> flag;
};

class LineReader {
 public:
  enum class Got { line, end, interrupted };
  Got next(std::string& line);  // without its line feed

 private:
  std::string held_;
};

bool is_terminal();  // standard input and output both

}  // namespace pith::cli
