#include "io/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

namespace pith {

namespace {

bool takes_part(TokenType type) {
  return type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused;
}

constexpr double kUnknownPenalty = 10;

}  // namespace

UnigramModel::UnigramModel(const TokenizerData& data) : data_(data) {
  double lowest = 0;
  bool any = false;
  std::vector<Token> bytes(256, -1);
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string& text = data.tokens[i];
    const int byte = data.byte_fallback ? byte_of_token(text) : -1;
    if (byte >= 0) bytes[std::size_t(byte)] = Token(i);
    if (text.empty() || !takes_part(data.types[i])) continue;
    trie_.insert(text, Token(i));
    lowest = any ? std::min(lowest, double(data.scores[i])) : double(data.scores[i]);
    any = true;
  }
  unknown_score_ = lowest - kUnknownPenalty;
  if (std::find(bytes.begin(), bytes.end(), -1) == bytes.end()) byte_tokens_ = std::move(bytes);
}

void UnigramModel::encode(std::string_view word, std::vector<Token>& out) const {
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    std::size_t from = 0;
    Token token = -1;  // -1: unknown
  };
  std::vector<Best> best(word.size() + 1);
  best[0].score = 0;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t next = at + std::size_t(decode_utf8(word, at).bytes);
    const double score = best[at].score;
    bool covered = false;
    const auto offer = [&](std::size_t end, double gain, Token token) {
      if (score + gain > best[end].score) best[end] = {score + gain, at, token};
    };
    trie_.visit_prefixes(word, at, [&](std::size_t end, Token token) {
      offer(end, double(data_.scores[std::size_t(token)]), token);
      covered |= end == next;
    });
    if (!covered) offer(next, unknown_score_, -1);
    at = next;
  }
  std::vector<std::size_t> ends;
  for (std::size_t at = word.size(); at > 0; at = best[at].from) ends.push_back(at);
  std::reverse(ends.begin(), ends.end());
  std::size_t unknown_from = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const Best& step = best[ends[i]];
    if (step.token >= 0) {
      out.push_back(step.token);
      continue;
    }
    if (i == 0 || best[ends[i - 1]].token >= 0) unknown_from = step.from;
    const bool last = i + 1 == ends.size() || best[ends[i + 1]].token >= 0;
    if (last) emit_unknown(word.substr(unknown_from, ends[i] - unknown_from), out);
  }
}

void UnigramModel::emit_unknown(std::string_view text, std::vector<Token>& out) const {
  if (!byte_tokens_.empty()) {
    for (const char c : text) out.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
  } else if (data_.unk >= 0) {
    out.push_back(data_.unk);
  }
}

WordPieceModel::WordPieceModel(const TokenizerData& data, const std::unordered_map<std::string_view, Token>& ids)
    : data_(data) {
  for (const auto& [text, id] : ids) {
    if (data.types[std::size_t(id)] == TokenType::control) continue;
    heads_.insert(text, id);
    if (text.starts_with(data.word_prefix)) tails_.insert(text.substr(data.word_prefix.size()), id);
  }
}

void WordPieceModel::encode(std::string_view word, std::vector<Token>& out) const {
  const std::size_t first = out.size();
  const auto unknown = [&] {
    out.resize(first);
    if (data_.unk >= 0) out.push_back(data_.unk);
  };
  const dim characters = dim(std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  if (characters > data_.max_word_characters) return unknown();
  for (std::size_t at = 0; at < word.size();) {
    std::size_t stop = at;
    Token longest = -1;
    (at == 0 ? heads_ : tails_).visit_prefixes(word, at, [&](std::size_t end, Token token) {
      stop = end;
      longest = token;
    });
    if (longest < 0) return unknown();
    out.push_back(longest);
    at = stop;
  }
}

}  // namespace pith
