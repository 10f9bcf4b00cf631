#include "cli/line_reader.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace pith::cli {

std::atomic<bool> InterruptGuard::flag = false;

namespace {
struct sigaction old_action;
}

InterruptGuard::InterruptGuard() {
  struct sigaction action = {};
  action.sa_handler = [](int) { flag = true; };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_action);  // without SA_RESTART: a waiting read ends
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &old_action, nullptr); }

LineReader::Got LineReader::next(std::string& line) {
  for (;;) {
    if (const std::size_t end = held_.find('\n'); end != std::string::npos) {
      line = held_.substr(0, end);
      held_.erase(0, end + 1);
      return Got::line;
    }
    char chunk[4096];
    const ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n > 0) {
      held_.append(chunk, std::size_t(n));
    } else if (n < 0 && errno == EINTR) {
      if (InterruptGuard::flag.exchange(false)) return Got::interrupted;
    } else {
      line = std::move(held_);
      held_.clear();
      return line.empty() ? Got::end : Got::line;
    }
  }
}

bool is_terminal() { return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO); }

}  // namespace pith::cli
