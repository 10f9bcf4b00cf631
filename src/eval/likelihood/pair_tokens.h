// Context and continuation as tokens, cut as lm-evaluation-harness cuts them.
#pragma once
#include <string_view>

#include "eval/likelihood/continuations.h"
#include "io/tokenizer.h"

namespace pith {

struct TokenPair {
  Continuation continuation;
  bool truncated = false;  // the context lost its beginning
};

// White space at the end of the context belongs to the continuation; both are encoded together, and the continuation is
// what lies behind as many tokens as the context has alone. An empty context is the token that begins or ends a text.
// Of more than `most` inputs (0: any number) the first are left away. Error(input) when the continuation has no token
// of its own, or more than `most`.
TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation, dim most);

// Bytes of `text` without white space (as Unicode has it) at its end.
std::size_t stripped_size(std::string_view text);

}  // namespace pith
