// Text rewritten before it is cut, and tokens turned back into text.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/data.h"

namespace pith {

// SentencePiece's compiled map of characters: a double-array trie, and the strings it points to.
class Charsmap {
 public:
  explicit Charsmap(std::string_view compiled);  // Error(input) when its parts do not fit
  std::string apply(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string strings_;
};

class Normalizer {
 public:
  explicit Normalizer(const std::vector<NormalizeStep>& steps);
  bool empty() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;  // valid UTF-8 in and out

 private:
  struct Step {
    NormalizeStep rule;
    std::unique_ptr<Pattern> pattern;
    std::unique_ptr<Charsmap> charsmap;
  };
  std::vector<Step> steps_;
};

class Decoder {
 public:
  Decoder(const std::vector<DecodeStep>& steps, bool join_by_space);
  // Spellings of tokens in, text out; bytes that are no UTF-8 become U+FFFD.
  std::string apply(std::vector<std::string> pieces) const;

 private:
  struct Step {
    DecodeStep rule;
    std::unique_ptr<Pattern> pattern;
  };
  std::vector<Step> steps_;
  bool join_by_space_;
};

}  // namespace pith
