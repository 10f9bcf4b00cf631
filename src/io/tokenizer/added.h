// Added tokens are found in the text before anything else looks at it.
#pragma once
#include <string_view>
#include <vector>

#include "io/tokenizer/data.h"
#include "io/tokenizer/trie.h"

namespace pith {

struct Fragment {
  std::size_t begin, end;
  Token token;  // -1: text that holds no added token
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // `spellings`: how each token looks in the text that will be searched.
  AddedTokens(std::vector<AddedToken> tokens, const std::vector<std::string>& spellings);

  // Cuts valid UTF-8 into fragments, none of them empty: from left to right, the longest token first.
  // parse_special: control tokens count too.
  std::vector<Fragment> find(std::string_view text, bool parse_special) const;

 private:
  struct Hit {
    std::size_t end;
    const AddedToken* token;
  };
  Hit longest_at(std::string_view text, std::size_t at, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // values index tokens_
};

}  // namespace pith
