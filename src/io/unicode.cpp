#include "io/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "core/error.h"

namespace pith {

namespace {

struct Freed {
  void operator()(utf8proc_uint8_t* p) const { std::free(p); }
};

unsigned char byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// Length of the valid character at `at`, or minus the length of the broken part there (at least one byte).
int character_length(std::string_view text, std::size_t at) {
  const unsigned first = byte_at(text, at);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return -1;
  const int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned low = 0x80, high = 0xBF;  // of the second byte: no overlong forms, surrogates or values past U+10FFFF
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (at + std::size_t(i) >= text.size()) return -i;
    const unsigned next = byte_at(text, at + std::size_t(i));
    if (next < low || next > high) return -i;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

utf8proc_option_t options(NormalForm form) {
  int bits = UTF8PROC_STABLE;
  bits |= form == NormalForm::nfc || form == NormalForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::nfkc || form == NormalForm::nfkd) bits |= UTF8PROC_COMPAT;
  return utf8proc_option_t(bits);
}

void append_normal_form(std::string& out, std::string_view part, NormalForm form) {
  utf8proc_uint8_t* raw = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
                                   utf8proc_ssize_t(part.size()), &raw, options(form));
  const std::unique_ptr<utf8proc_uint8_t, Freed> mapped(raw);
  if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (length < 0) throw input_error("unicode", "cannot normalize the text: {}", utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped.get()), std::size_t(length));
}

}  // namespace

CodePoint decode_utf8(std::string_view text, std::size_t at) {
  const char32_t a = byte_at(text, at);
  if (a < 0x80) return {a, 1};
  const auto tail = [&](std::size_t i) { return char32_t(byte_at(text, at + i) & 0x3F); };
  if (a < 0xE0) return {(a & 0x1F) << 6 | tail(1), 2};
  if (a < 0xF0) return {(a & 0x0F) << 12 | tail(1) << 6 | tail(2), 3};
  return {(a & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += {char(0xC0 | c >> 6), char(0x80 | (c & 0x3F))};
  } else if (c < 0x10000) {
    out += {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 0x3F)), char(0x80 | (c & 0x3F))};
  } else {
    out += {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 0x3F)), char(0x80 | (c >> 6 & 0x3F)), char(0x80 | (c & 0x3F))};
  }
}

std::size_t valid_utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const int length = character_length(text, at);
    if (length < 0) break;
    at += std::size_t(length);
  }
  return at;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    out += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    out += "\uFFFD";
    text.remove_prefix(std::size_t(-character_length(text, 0)));
  }
  return out;
}

std::string normal_form(std::string_view text, NormalForm form) {
  // ASCII stays as it is, but its last character may take a mark that follows it.
  std::string out;
  out.reserve(text.size());
  const auto ascii = [&](std::size_t at) { return byte_at(text, at) < 0x80; };
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t stop = at;
    while (stop < text.size() && ascii(stop)) ++stop;
    if (stop == text.size()) {
      out += text.substr(at);
      break;
    }
    const std::size_t from = stop > at ? stop - 1 : stop;
    out += text.substr(at, from - at);
    while (stop < text.size() && !ascii(stop)) ++stop;
    append_normal_form(out, text.substr(from, stop - from), form);
    at = stop;
  }
  return out;
}

void append_lowercase(std::string& out, char32_t c) {
  if (c == U'İ') {  // the one character whose lower case is two
    out += "i\u0307";
    return;
  }
  append_utf8(out, char32_t(utf8proc_tolower(utf8proc_int32_t(c))));
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word(char32_t c) {
  const int category = utf8proc_category(utf8proc_int32_t(c));
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO) || category == UTF8PROC_CATEGORY_PC;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  const int category = utf8proc_category(utf8proc_int32_t(c));
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool is_control(char32_t c) {
  const int category = utf8proc_category(utf8proc_int32_t(c));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CN ||
         category == UTF8PROC_CATEGORY_CO;
}

bool is_nonspacing_mark(char32_t c) { return utf8proc_category(utf8proc_int32_t(c)) == UTF8PROC_CATEGORY_MN; }

bool is_cjk_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

namespace {

// Printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards.
constexpr std::array<char32_t, 256> make_byte_alphabet() {
  std::array<char32_t, 256> letters{};
  char32_t next = 256;
  for (char32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    letters[b] = printable ? b : next++;
  }
  return letters;
}

constexpr auto kByteAlphabet = make_byte_alphabet();
constexpr char32_t kAlphabetEnd = 256 + 68;

constexpr std::array<short, kAlphabetEnd> make_letter_bytes() {
  std::array<short, kAlphabetEnd> bytes{};
  for (auto& b : bytes) b = -1;
  for (std::size_t b = 0; b < 256; ++b) bytes[kByteAlphabet[b]] = short(b);
  return bytes;
}

constexpr auto kLetterBytes = make_letter_bytes();

}  // namespace

const std::array<char32_t, 256>& byte_alphabet() { return kByteAlphabet; }

int byte_of_letter(char32_t letter) { return letter < kAlphabetEnd ? kLetterBytes[letter] : -1; }

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) append_utf8(out, kByteAlphabet[static_cast<unsigned char>(c)]);
  return out;
}

std::string bytes_of_spelling(std::string_view spelling) {
  std::string out;
  for (std::size_t at = 0; at < spelling.size();) {
    const CodePoint c = decode_utf8(spelling, at);
    const int byte = byte_of_letter(c.value);
    if (byte < 0) return std::string(spelling);
    out += char(byte);
    at += std::size_t(c.bytes);
  }
  return out;
}

}  // namespace pith
