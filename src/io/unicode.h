// UTF-8, normal forms, character classes, and the alphabet of byte-level vocabularies.
#pragma once
#include <array>
#include <string>
#include <string_view>

namespace pith {

struct CodePoint {
  char32_t value;
  int bytes;
};
// `text` must be valid UTF-8 and `at` the start of a character.
CodePoint decode_utf8(std::string_view text, std::size_t at);
void append_utf8(std::string& out, char32_t c);  // c is a scalar value

// Length of the valid UTF-8 that `text` begins with.
std::size_t valid_utf8_prefix(std::string_view text);
// Each maximal part of a broken sequence becomes one U+FFFD, as the Unicode standard recommends.
std::string replace_invalid_utf8(std::string_view text);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normal_form(std::string_view text, NormalForm form);
void append_lowercase(std::string& out, char32_t c);

bool is_white_space(char32_t c);  // property White_Space
bool is_word(char32_t c);         // letters, marks, numbers, connectors
bool is_punctuation(char32_t c);  // category P, or an ASCII symbol
bool is_control(char32_t c);      // categories Cc, Cf, Cn, Co
bool is_nonspacing_mark(char32_t c);
bool is_cjk_ideograph(char32_t c);

// Byte-level vocabularies spell each byte as one printable character (GPT-2's table).
const std::array<char32_t, 256>& byte_alphabet();
int byte_of_letter(char32_t letter);  // -1 when the character is not in the alphabet
std::string spell_bytes(std::string_view bytes);
std::string bytes_of_spelling(std::string_view spelling);  // the spelling itself where it holds another character

}  // namespace pith
