// Text as it may be shown while tokens arrive.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pith {

// Holds text back until its characters are whole and it cannot be the beginning of a stop string.
class TextStream {
 public:
  explicit TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // What may be shown now. Once a stop string is complete `stopped` is true, and what follows it is dropped.
  std::string push(std::string_view bytes);
  std::string finish();  // the rest; bytes that never became a character are U+FFFD
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

// Replaces what is not UTF-8 by U+FFFD.
std::string repaired_utf8(std::string_view text);

}  // namespace pith
