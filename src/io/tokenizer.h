// Text to token ids and back, for byte-level BPE, SentencePiece-style BPE with byte fallback, unigram and WordPiece
// vocabularies; from a Hugging Face tokenizer.json or from GGUF metadata, and converted between the two.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "io/gguf.h"

namespace pith {

class Tokenizer {
 public:
  // tokenizer_config (may be empty) adds bos/eos names, add_bos_token and the chat template. Error(input).
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json = {});
  static Tokenizer from_gguf(const GgufMeta& meta);  // tokenizer.ggml.*
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // add_special: the tokens the model expects around a text (BOS where the tokenizer says so).
  // parse_special: special tokens spelled in the text become those tokens, else they are plain text.
  std::vector<Token> encode(std::string_view text, bool add_special = true, bool parse_special = true) const;
  std::string decode(std::span<const Token> tokens, bool skip_special = true) const;
  std::string piece(Token token) const;  // the bytes one token adds while streaming (maybe part of a character)

  dim vocab_size() const;
  Token bos() const;  // -1 when there is none; likewise the others
  Token eos() const;
  Token unk() const;
  Token pad() const;
  bool adds_bos() const;
  bool is_special(Token token) const;     // control tokens
  std::vector<Token> end_tokens() const;  // eos and the end-of-turn tokens of chat models
  const std::string& chat_template() const;
  const std::string& kind() const;  // "byte-level bpe", "sentencepiece bpe", "unigram", "wordpiece"
  const std::string& pre() const;   // tokenizer.ggml.pre name

  // Of a vocabulary with merges: the tokens that no text can do without, then of `order` what fits into `most` tokens,
  // each with those it is merged from. Ascending. Error(input) for other vocabularies and where there is no room.
  std::vector<Token> selection(std::span<const Token> order, dim most) const;
  // With these tokens alone, as selection gives them; their ids become 0, 1, ... Text that they can spell as before is
  // encoded as before.
  Tokenizer reduced(std::span<const Token> kept) const;

  // Adds the tokenizer.ggml.* keys. vocab_rows: rows of the embedding; missing ids are padded as unused.
  void to_gguf(GgufMeta& meta, dim vocab_rows) const;
  std::string to_tokenizer_json() const;  // the original text where it came from one
  std::string to_tokenizer_config_json() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
