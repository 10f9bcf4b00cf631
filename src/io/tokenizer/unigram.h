// Vocabularies without merges: the likeliest cut (unigram), or the longest piece first (WordPiece).
#pragma once
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/tokenizer/data.h"
#include "io/tokenizer/trie.h"

namespace pith {

// Viterbi over the scores of the tokens. What no token covers is unknown, at the lowest score minus ten;
// neighbouring unknown characters are one token.
class UnigramModel {
 public:
  explicit UnigramModel(const TokenizerData& data);  // keeps a view of `data`
  void encode(std::string_view word, std::vector<Token>& out) const;

 private:
  void emit_unknown(std::string_view text, std::vector<Token>& out) const;

  const TokenizerData& data_;
  ByteTrie trie_;
  double unknown_score_ = 0;
  std::vector<Token> byte_tokens_;  // 256, or empty
};

class WordPieceModel {
 public:
  WordPieceModel(const TokenizerData& data, const std::unordered_map<std::string_view, Token>& ids);
  void encode(std::string_view word, std::vector<Token>& out) const;

 private:
  const TokenizerData& data_;
  ByteTrie heads_, tails_;  // tails without their prefix
};

}  // namespace pith
