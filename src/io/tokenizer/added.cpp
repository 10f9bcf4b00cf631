#include "io/tokenizer/added.h"

#include <algorithm>

namespace pith {

namespace {

std::size_t previous(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (text[at] & 0xC0) == 0x80);
  return at;
}

// Whether a letter touches [begin, end) from outside.
bool inside_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word(decode_utf8(text, previous(text, begin)).value)) return true;
  return end < text.size() && is_word(decode_utf8(text, end).value);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const std::vector<std::string>& spellings)
    : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) trie_.insert(spellings[i], std::int32_t(i));
}

AddedTokens::Hit AddedTokens::longest_at(std::string_view text, std::size_t at, bool parse_special) const {
  Hit longest{at, nullptr};
  trie_.visit_prefixes(text, at, [&](std::size_t end, std::int32_t index) {
    const AddedToken& token = tokens_[std::size_t(index)];
    if (!token.special || parse_special) longest = {end, &token};
  });
  return longest;
}

std::vector<Fragment> AddedTokens::find(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !trie_.empty();) {
    if (!trie_.may_start(text[at])) {
      ++at;
      continue;
    }
    const Hit hit = longest_at(text, at, parse_special);
    if (!hit.token) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = hit.end;
    at = end;
    if (hit.token->single_word && inside_word(text, begin, end)) continue;
    while (hit.token->strip_left && begin > done) {
      const std::size_t before = previous(text, begin);
      if (!is_white_space(decode_utf8(text, before).value)) break;
      begin = before;
    }
    while (hit.token->strip_right && end < text.size()) {
      const CodePoint c = decode_utf8(text, end);
      if (!is_white_space(c.value)) break;
      end += std::size_t(c.bytes);
    }
    if (begin > done) fragments.push_back({done, begin, -1});
    fragments.push_back({begin, end, hit.token->id});
    at = done = end;
  }
  if (done < text.size()) fragments.push_back({done, text.size(), -1});
  return fragments;
}

}  // namespace pith
