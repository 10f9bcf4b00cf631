// A template as tokens, white space already trimmed.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "io/jinja/value.h"

namespace pith::jinja {

enum class TokenKind {
  data,
  block_begin,
  block_end,
  variable_begin,
  variable_end,
  name,
  text,
  integer,
  number,
  op,
  end
};

struct Token {
  TokenKind kind;
  std::string text;  // of data and text: the value itself
  int line;
};

struct Tokens {
  std::vector<Token> all;  // the last one is `end`
};

// Fault starts with the line.
Tokens tokenize(std::string_view source, const Limits& limits);

}  // namespace pith::jinja
