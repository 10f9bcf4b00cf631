// What is done with every tokenizer that a target's input gave.
#pragma once
#include "fuzz/fuzz.h"
#include "io/tokenizer.h"

namespace pith::fuzz {

inline void use(const Tokenizer& tokenizer) {
  for (const std::string_view sample : {"Hello, world  42\n", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\xff <s>", ""}) {
    const std::vector<Token> ids = tokenizer.encode(sample);
    for (const Token id : ids) PITH_CHECK(id >= 0 && id < tokenizer.vocab_size());
    tokenizer.decode(ids);
    for (const Token id : ids) tokenizer.piece(id);
  }
  tokenizer.end_tokens();
  GgufMeta meta;
  refuse_or_accept([&] { tokenizer.to_gguf(meta, tokenizer.vocab_size()); });
  refuse_or_accept([&] { tokenizer.to_tokenizer_json(); });
  refuse_or_accept([&] { tokenizer.to_tokenizer_config_json(); });
}

}  // namespace pith::fuzz
