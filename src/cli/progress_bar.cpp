#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "cli/command.h"
#include "core/group.h"

namespace pith::cli {

namespace {

using Clock = std::chrono::steady_clock;

std::string clock_text(double seconds) {
  const auto s = dim(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

class Bar : public Progress {
 public:
  ~Bar() override { end(); }

  void begin(std::string_view stage, dim total_units) override {
    end();
    stage_ = stage;
    total_ = std::max<dim>(total_units, 1);
    done_ = 0;
    start_ = Clock::now();
    last_drawn_ = {};
    active_ = true;
    draw();
  }

  void advance(dim units, std::string_view detail) override {
    done_ = std::min(done_ + units, total_);
    detail_ = detail;
    if (Clock::now() - last_drawn_ > std::chrono::milliseconds(100)) draw();
  }

  void end() override {
    if (active_) std::fputs("\r\033[K", stderr);
    active_ = false;
  }

 private:
  void draw() {
    constexpr int kWidth = 24;
    last_drawn_ = Clock::now();
    const double share = double(done_) / double(total_);
    const double passed = std::chrono::duration<double>(last_drawn_ - start_).count();
    const int filled = int(share * kWidth);
    std::string line = fmt::format("\r\033[K{} [{}{}] {:3.0f} %", stage_, std::string(std::size_t(filled), '#'),
                                   std::string(std::size_t(kWidth - filled), '.'), share * 100);
    if (share > 0 && passed > 0.5) line += fmt::format("  {} left", clock_text(passed / share * (1 - share)));
    if (!detail_.empty()) line += "  " + detail_.substr(0, 40);
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }

  std::string stage_, detail_;
  dim total_ = 1, done_ = 0;
  Clock::time_point start_, last_drawn_;
  bool active_ = false;
};

}  // namespace

Progress& terminal_progress() {
  static Bar bar;
  return processes().first() && isatty(STDERR_FILENO) ? static_cast<Progress&>(bar) : no_progress();
}

}  // namespace pith::cli
