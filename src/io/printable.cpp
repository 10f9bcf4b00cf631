#include "io/printable.h"

#include <fmt/core.h>

#include <cstdint>

namespace pith {

namespace {

// Length of the well-formed UTF-8 character at the start of s, or 0.
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? std::uint8_t(s[i]) : std::uint8_t(0); };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const std::uint8_t b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return follows(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    if ((b == 0xe0 && byte(1) < 0xa0) || (b == 0xed && byte(1) > 0x9f)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    if ((b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) > 0x8f)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool is_control(std::string_view s) {
  const auto b = std::uint8_t(s[0]);
  return b < 0x20 || b == 0x7f || (b == 0xc2 && std::uint8_t(s[1]) < 0xa0);  // C0, DEL, C1
}

}  // namespace

std::string printable(std::string_view name) {
  constexpr std::size_t kShown = 80;
  std::string out = "'";
  std::size_t i = 0;
  while (i < name.size() && i < kShown) {
    const std::size_t n = utf8_length(name.substr(i));
    if (n == 0 || is_control(name.substr(i, n))) {
      out += fmt::format("\\x{:02x}", std::uint8_t(name[i]));
      ++i;
    } else {
      out += name.substr(i, n);
      i += n;
    }
  }
  if (i < name.size()) out += "...";
  return out + "'";
}

}  // namespace pith
