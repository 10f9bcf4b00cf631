#include "eval/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/json.h"
#include "io/unicode.h"

namespace pith {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

// The next line of `text`, without its newline; it is taken off.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::vector<std::string_view> text_rows(std::string_view text) {
  std::vector<std::string_view> rows;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::size_t length = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line = text.substr(0, length);
    const bool blank = line.find_first_not_of(kWhiteSpace) == std::string_view::npos;
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

std::string join_sentences(std::string_view text) {
  std::string joined;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line.remove_prefix(std::min(line.find_first_not_of(kWhiteSpace), line.size()));
    line = line.substr(0, line.find_last_not_of(kWhiteSpace) + 1);
    if (!joined.empty()) joined += ' ';
    joined += line;
  }
  return joined;
}

dim count_words(std::string_view text) {
  dim words = 1;
  bool in_space = false;
  for (std::size_t at = 0; at < text.size();) {
    std::string_view rest = text.substr(at, 4);
    const std::size_t valid = valid_utf8_prefix(rest);
    const CodePoint c = valid > 0 ? decode_utf8(rest.substr(0, valid), 0) : CodePoint{U'\uFFFD', 1};
    const bool space = is_white_space(c.value) || (c.value >= 0x1c && c.value <= 0x1f);  // Python counts these, too
    if (space && !in_space) ++words;
    in_space = space;
    at += std::size_t(c.bytes);
  }
  return words;
}

std::string join_documents(std::string_view jsonl, std::string_view where, std::string_view separator, dim most) {
  std::string joined;
  dim number = 0, documents = 0;
  while (!jsonl.empty() && (most <= 0 || documents < most)) {
    const std::string_view line = take_line(jsonl);
    ++number;
    if (line.find_first_not_of(kWhiteSpace) == line.npos) continue;
    const std::string place = fmt::format("{}:{}", where, number);
    const auto value = parse_json(line, place);
    if (!value.is_object() || !value.contains("text") || !value["text"].is_string())
      throw input_error(place, "expected an object with a text 'text'");
    if (documents++ > 0) joined += separator;
    joined += value["text"].get_ref<const std::string&>();
  }
  return joined;
}

}  // namespace pith
