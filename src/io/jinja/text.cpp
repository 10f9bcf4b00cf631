#include "io/jinja/text.h"

#include <fmt/core.h>
#include <utf8proc.h>

#include <algorithm>

#include "io/unicode.h"

namespace pith::jinja {

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

dim character_count(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  for (std::size_t at = 0; at < text.size();) {
    const auto bytes = std::size_t(decode_utf8(text, at).bytes);
    all.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return all;
}

std::string_view strip(std::string_view text, bool left, bool right, std::optional<std::string_view> set) {
  const auto goes = [&](std::size_t at, std::size_t bytes) {
    if (set) return set->find(text.substr(at, bytes)) != std::string_view::npos;
    return is_space(decode_utf8(text, at).value);
  };
  while (left && !text.empty()) {
    const auto bytes = std::size_t(decode_utf8(text, 0).bytes);
    if (!goes(0, bytes)) break;
    text.remove_prefix(bytes);
  }
  while (right && !text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
    if (!goes(at, text.size() - at)) break;
    text = text.substr(0, at);
  }
  return text;
}

namespace {

void append_uppercase(std::string& out, char32_t c) {
  if (c == 0xdf) {
    out += "SS";
  } else {
    append_utf8(out, char32_t(utf8proc_toupper(utf8proc_int32_t(c))));
  }
}

bool is_cased(char32_t c) {
  const auto category = utf8proc_category(utf8proc_int32_t(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

template <class Convert>
std::string convert(std::string_view text, Convert&& append) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    append(out, c.value, at);
    at += std::size_t(c.bytes);
  }
  return out;
}

}  // namespace

std::string upper(std::string_view text) {
  return convert(text, [](std::string& out, char32_t c, std::size_t) { append_uppercase(out, c); });
}

std::string lower(std::string_view text) {
  return convert(text, [](std::string& out, char32_t c, std::size_t) { append_lowercase(out, c); });
}

std::string capitalize(std::string_view text) {
  return convert(text, [](std::string& out, char32_t c, std::size_t at) {
    if (at == 0) {
      append_uppercase(out, c);
    } else {
      append_lowercase(out, c);
    }
  });
}

std::string title(std::string_view text) {
  bool inside = false;
  return convert(text, [&](std::string& out, char32_t c, std::size_t) {
    if (inside) {
      append_lowercase(out, c);
    } else {
      append_uppercase(out, c);
    }
    inside = is_cased(c);
  });
}

std::vector<std::string_view> split_space(std::string_view text, dim most) {
  std::vector<std::string_view> parts;
  for (text = strip(text, true, false); !text.empty(); text = strip(text, true, false)) {
    if (most >= 0 && dim(parts.size()) == most) {
      parts.push_back(strip(text, false, true));
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const CodePoint c = decode_utf8(text, end);
      if (is_space(c.value)) break;
      end += std::size_t(c.bytes);
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator, dim most) {
  std::vector<std::string_view> parts;
  for (std::size_t found; most < 0 || dim(parts.size()) < most; text.remove_prefix(found + separator.size())) {
    found = text.find(separator);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(0, found));
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, dim most) {
  std::vector<std::string_view> parts;
  while (most < 0 || dim(parts.size()) < most) {
    const std::size_t found = text.rfind(separator);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\r"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    if (text.substr(0, 2) == "\r\n") text.remove_prefix(1);
    if (!text.empty()) text.remove_prefix(1);
  }
  return lines;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&#34;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string repr_text(std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (c.value == char32_t(quote) || c.value == '\\') {
      out += {'\\', char(c.value)};
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (c.value < 0x20 || c.value == 0x7f) {
      out += fmt::format("\\x{:02x}", unsigned(c.value));
    } else {
      out += text.substr(at, std::size_t(c.bytes));
    }
    at += std::size_t(c.bytes);
  }
  return out + quote;
}

}  // namespace pith::jinja
