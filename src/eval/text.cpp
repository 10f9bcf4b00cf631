#include "eval/text.h"

namespace pith {

std::vector<std::string_view> text_rows(std::string_view text) {
  std::vector<std::string_view> rows;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::size_t length = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line = text.substr(0, length);
    const bool blank = line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
    rows.push_back(blank ? std::string_view{} : line);
    text.remove_prefix(length);
  }
  return rows;
}

std::string join_rows(std::string_view text, std::string_view separator) {
  std::string joined;
  const auto rows = text_rows(text);
  joined.reserve(text.size() + rows.size() * separator.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) joined += separator;
    joined += rows[i];
  }
  return joined;
}

}  // namespace pith
