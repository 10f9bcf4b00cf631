#include "io/jinja/lexer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "io/jinja/text.h"
#include "io/unicode.h"

namespace pith::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// One kind of line end, and without the last one.
std::string normal_lines(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 == source.size() || source[i + 1] != '\n') out += '\n';
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(const std::string& source) : rest_(source), source_(source) {}

  Tokens run() {
    while (at_ < source_.size()) data();
    add(TokenKind::end, "");
    return std::move(out_);
  }

 private:
  bool starts(std::string_view what) const { return rest_.substr(at_, what.size()) == what; }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  [[noreturn]] void fail(std::string_view what) const { throw Fault(fmt::format("line {}: {}", line_, what)); }

  void move(std::size_t bytes) {
    line_ += int(std::count(source_.begin() + long(at_), source_.begin() + long(at_ + bytes), '\n'));
    at_ += bytes;
  }

  void add(TokenKind kind, std::string text) { out_.all.push_back({kind, std::move(text), line_}); }

  void skip_space() {
    const auto stripped = strip(rest_.substr(at_), true, false);
    move(rest_.size() - at_ - stripped.size());
  }

  // Text up to the next tag, which then is read too. Of "{%", "{{" and "{#" the first one counts.
  void data() {
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos) break;
      const char c = tag + 1 < source_.size() ? source_[tag + 1] : '\0';
      if (c == '%' || c == '{' || c == '#') break;
    }
    if (tag == std::string_view::npos) {
      add(TokenKind::data, std::string(rest_.substr(at_)));
      return move(source_.size() - at_);
    }
    const char kind = source_[tag + 1];
    const char sign =
        tag + 2 < source_.size() && (source_[tag + 2] == '-' || source_[tag + 2] == '+') ? source_[tag + 2] : '\0';
    text_before(rest_.substr(at_, tag - at_), kind, sign);
    move(tag + 2 + (sign ? 1 : 0) - at_);
    if (kind == '#') return comment();
    if (kind == '%' && raw()) return;
    add(kind == '%' ? TokenKind::block_begin : TokenKind::variable_begin, "");
    inside(kind == '%');
  }

  // "-" strips the text before a tag; without a sign a block's or comment's own indentation goes.
  void text_before(std::string_view text, char kind, char sign) {
    if (sign == '-') {
      text = strip(text, false, true);
    } else if (sign != '+' && kind != '{') {
      const std::size_t line = text.rfind('\n') + 1;  // 0 when there is none
      if ((line > 0 || line_starting_) && strip(text.substr(line), true, false).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) add(TokenKind::data, std::string(text));
  }

  // After the sign and the two closing characters.
  void tag_ends(char sign, bool trims) {
    const std::size_t from = at_;
    if (sign == '-') {
      skip_space();
    } else if (trims && sign != '+' && peek() == '\n') {
      move(1);
    }
    line_starting_ = at_ > from && source_[at_ - 1] == '\n';
  }

  void comment() {
    const std::size_t end = rest_.find("#}", at_);
    if (end == std::string_view::npos) fail("a comment without an end");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    move(end + 2 - at_);
    tag_ends(sign, true);
  }

  // Whether the tag was {% raw %}; then up to {% endraw %} all is text.
  bool raw() {
    std::size_t name = rest_.size() - strip(rest_.substr(at_), true, false).size();
    if (rest_.substr(name, 3) != "raw") return false;
    const std::size_t after = rest_.size() - strip(rest_.substr(name + 3), true, false).size();
    const bool minus = rest_.substr(after, 3) == "-%}";
    if (!minus && rest_.substr(after, 2) != "%}") return false;
    move(after + (minus ? 3 : 2) - at_);
    if (minus) skip_space();
    for (std::size_t tag = at_;; tag += 2) {
      tag = rest_.find("{%", tag);
      if (tag == std::string_view::npos) fail("raw without endraw");
      const char c = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      const char sign = c == '-' || c == '+' ? c : '\0';
      const std::size_t word = rest_.size() - strip(rest_.substr(tag + (sign ? 3 : 2)), true, false).size();
      if (rest_.substr(word, 6) != "endraw") continue;
      std::size_t close = rest_.size() - strip(rest_.substr(word + 6), true, false).size();
      const char end_sign =
          close < source_.size() && (source_[close] == '-' || source_[close] == '+') ? source_[close] : '\0';
      if (end_sign) ++close;
      if (rest_.substr(close, 2) != "%}") continue;
      text_before(rest_.substr(at_, tag - at_), '%', sign);
      move(close + 2 - at_);
      tag_ends(end_sign, true);
      return true;
    }
  }

  // The tokens of a tag; brackets that are open hide its end.
  void inside(bool block) {
    std::string open;
    const std::string_view close = block ? "%}" : "}}";
    for (;;) {
      if (open.empty()) {
        const char sign = peek() == '-' || (block && peek() == '+') ? peek() : '\0';
        if (rest_.substr(at_ + (sign ? 1 : 0), 2) == close) {
          move(sign ? 3 : 2);
          add(block ? TokenKind::block_end : TokenKind::variable_end, "");
          return tag_ends(sign, block);
        }
      }
      if (at_ >= source_.size()) fail("a tag without an end");
      const std::size_t before = at_;
      skip_space();
      if (at_ == before) token(open);
    }
  }

  void token(std::string& open) {
    const char c = peek();
    if (c == '"' || c == '\'') return quoted(c);
    if (is_digit(c)) return digits();
    if (is_name_byte(c)) {
      std::size_t bytes = 0;
      while (is_name_byte(peek(bytes))) ++bytes;
      add(TokenKind::name, std::string(rest_.substr(at_, bytes)));
      return move(bytes);
    }
    constexpr std::array kOperators = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                       "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const std::string_view op : kOperators) {
      if (!starts(op)) continue;
      if (op == "(" || op == "[" || op == "{") open += op == "(" ? ')' : op == "[" ? ']' : '}';
      if (op == ")" || op == "]" || op == "}") {
        if (open.empty() || open.back() != op[0]) fail(fmt::format("'{}' closes nothing", op));
        open.pop_back();
      }
      add(TokenKind::op, std::string(op));
      return move(op.size());
    }
    fail("a character that means nothing here");
  }

  void digits() {
    std::size_t end = 0;
    const auto run = [&] {
      while (is_digit(peek(end)) || (peek(end) == '_' && is_digit(peek(end + 1)))) ++end;
    };
    run();
    bool real = false;
    const bool member = at_ > 0 && source_[at_ - 1] == '.';  // in a.0.1 these are places
    if (!member && peek(end) == '.' && is_digit(peek(end + 1))) {
      real = true;
      ++end;
      run();
    }
    const std::size_t sign = peek(end + 1) == '+' || peek(end + 1) == '-' ? 1 : 0;
    if (!member && (peek(end) == 'e' || peek(end) == 'E') && is_digit(peek(end + 1 + sign))) {
      real = true;
      end += 1 + sign;
      run();
    }
    std::string text(rest_.substr(at_, end));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    add(real ? TokenKind::number : TokenKind::integer, std::move(text));
    move(end);
  }

  void quoted(char quote) {
    std::string value;
    std::size_t i = at_ + 1;
    while (i < source_.size() && source_[i] != quote) {
      if (source_[i] == '\\' && i + 1 < source_.size()) {
        i = escape(i + 1, value);
      } else {
        value += source_[i++];
      }
    }
    if (i >= source_.size()) fail("a text without its closing quote");
    add(TokenKind::text, std::move(value));
    move(i + 1 - at_);
  }

  // What a backslash means with the character at i; returns where to go on.
  std::size_t escape(std::size_t i, std::string& value) const {
    const char c = source_[i];
    constexpr std::string_view kNames = "ntrabfv\\'\"", kMeant = "\n\t\r\a\b\f\v\\'\"";
    if (const auto known = kNames.find(c); known != std::string_view::npos) {
      value += kMeant[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      return hexadecimal(i, c == 'x' ? 2 : c == 'u' ? 4 : 8, value);
    } else if (c >= '0' && c <= '7') {
      char32_t code = 0;
      std::size_t digits = 0;
      for (; digits < 3 && i < source_.size() && source_[i] >= '0' && source_[i] <= '7'; ++digits)
        code = code * 8 + char32_t(source_[i++] - '0');
      append_utf8(value, code);
      return i;
    } else if (c != '\n') {
      value += '\\';
      return i;  // not an escape: both characters stay
    }
    return i + 1;
  }

  std::size_t hexadecimal(std::size_t i, std::size_t digits, std::string& value) const {
    char32_t code = 0;
    for (std::size_t k = 1; k <= digits; ++k) {
      const char c = i + k < source_.size() ? source_[i + k] : '\0';
      const auto place = std::string_view("0123456789abcdefABCDEF").find(c);
      if (c == '\0' || place == std::string_view::npos) fail("an escape that lacks its digits");
      code = code * 16 + char32_t(place < 16 ? place : place - 6);
    }
    const bool scalar = code < 0x110000 && !(code >= 0xd800 && code < 0xe000);
    append_utf8(value, scalar ? code : 0xfffd);
    return i + 1 + digits;
  }

  std::string_view rest_;  // all of the source; what lies ahead begins at at_
  const std::string& source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  Tokens out_;
};

}  // namespace

Tokens tokenize(std::string_view source, const Limits& limits) {
  if (dim(source.size()) > limits.max_template_bytes)
    throw Fault(fmt::format("it is longer than {} bytes", limits.max_template_bytes));
  const std::string text = normal_lines(replace_invalid_utf8(source));
  return Lexer(text).run();
}

}  // namespace pith::jinja
