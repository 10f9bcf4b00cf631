#include "eval/likelihood/pair_tokens.h"

#include <fmt/format.h>

#include "core/error.h"
#include "io/printable.h"
#include "io/unicode.h"

namespace pith {

std::size_t stripped_size(std::string_view text) {
  std::size_t size = text.size();
  while (size > 0) {
    std::size_t start = size - 1;
    while (start > 0 && size - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const std::string_view last = text.substr(start, size - start);
    if (valid_utf8_prefix(last) != last.size()) return size;
    const char32_t c = decode_utf8(text, start).value;
    if (!is_white_space(c) && !(c >= 0x1c && c <= 0x1f)) return size;  // Python strips these four, too
    size = start;
  }
  return 0;
}

TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation, dim most) {
  const std::size_t kept = stripped_size(context);
  const std::string whole = std::string(context) + std::string(continuation);
  TokenPair pair;
  std::vector<Token>& tokens = pair.continuation.tokens;
  dim before = 1;
  if (kept == 0) {
    const Token start = tokenizer.bos() >= 0 ? tokenizer.bos() : tokenizer.eos();
    if (start < 0) throw input_error("evaluation", "expected a context, or a tokenizer with a token to begin with");
    tokens = tokenizer.encode(whole, false);
    tokens.insert(tokens.begin(), start);
  } else {
    tokens = tokenizer.encode(whole);
    before = dim(tokenizer.encode(context.substr(0, kept)).size());
  }
  const dim scored = dim(tokens.size()) - before;
  if (scored < 1 || before < 1)
    throw input_error("evaluation", "expected a continuation with tokens of its own, {} has none",
                      printable(continuation));
  if (most > 0 && scored > most)
    throw input_error("evaluation", "expected a continuation of at most {} tokens, got {}", most, scored);
  pair.continuation.scored = scored;
  if (most > 0 && dim(tokens.size()) > most + 1) {
    tokens.erase(tokens.begin(), tokens.end() - std::ptrdiff_t(most + 1));
    pair.truncated = true;
  }
  return pair;
}

}  // namespace pith
