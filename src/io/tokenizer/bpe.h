// Byte pair encoding: neighbours merge, lowest rank first, leftmost first among equals.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "io/tokenizer/data.h"

namespace pith {

// (left, right) -> (rank, merged): open addressing, for lookups that mostly fail.
class MergeTable {
 public:
  struct Found {
    std::uint32_t rank;  // kNone where the pair does not merge
    Token merged;
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t(0);

  explicit MergeTable(const std::vector<Merge>& merges);
  Found find(Token left, Token right) const;

 private:
  struct Slot {
    std::uint64_t key;
    Found found{kNone, -1};
  };
  std::vector<Slot> slots_;
  int shift_ = 0;
};

class BpeModel {
 public:
  // Keeps a view of `data`, which must outlive it; `ids` maps the spelling of tokens to ids.
  BpeModel(const TokenizerData& data, const std::unordered_map<std::string_view, Token>& ids);

  // What one call of encode() remembers: words seen, and scratch memory.
  struct Session {
    std::unordered_map<std::string, std::vector<Token>> words;
    std::vector<Token> symbols;
    std::vector<MergeTable::Found> pairs;
  };
  // Appends the tokens of one word (plain UTF-8; spaces already replaced where the vocabulary wants that).
  void encode(std::string_view word, Session& session, std::vector<Token>& out) const;

 private:
  void encode_chunk(std::string_view chunk, Session& session, std::vector<Token>& out) const;
  void spell(std::string_view chunk, std::vector<Token>& symbols) const;
  void merge(Session& session) const;
  void merge_long(std::vector<Token>& symbols) const;
  void emit(const std::vector<Token>& symbols, std::vector<Token>& out) const;
  Token token_of(char32_t c) const;
  bool joinable(char32_t left, char32_t right) const {
    return joinable_.contains(std::uint64_t(left) << 32 | std::uint64_t(right));
  }

  const TokenizerData& data_;
  const std::unordered_map<std::string_view, Token>& ids_;
  MergeTable merges_;
  std::array<Token, 256> byte_tokens_;  // byte_bpe: of single bytes; char_bpe: of <0xNN>; -1 where missing
  std::vector<Token> low_characters_;   // char_bpe: tokens of U+0000..U+FFFF
  std::unordered_map<char32_t, Token> high_characters_;
  bool cuts_ = false;                           // char_bpe: text may be cut where no merge can cross
  std::unordered_set<std::uint64_t> joinable_;  // pairs of characters that some merge crosses
};

}  // namespace pith
