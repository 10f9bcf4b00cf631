// A BPE vocabulary cut down to some of its tokens.
#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "io/tokenizer/data.h"

namespace pith {

namespace {

void check_kind(const TokenizerData& data) {
  if (data.model != VocabModel::byte_bpe && data.model != VocabModel::char_bpe)
    throw input_error("tokenizer", "expected a vocabulary with merges, whose other tokens can spell what is lost");
}

// What no text can do without: special tokens, and the single bytes or characters that merges start from. With bytes to
// fall back to, characters are not needed.
std::vector<bool> needed(const TokenizerData& data) {
  std::vector<bool> out(data.tokens.size(), false);
  std::vector<bool> merged(data.tokens.size(), false);
  for (const Merge& m : data.merges) merged[std::size_t(m.merged)] = true;
  const bool bytes = data.model == VocabModel::char_bpe && data.byte_fallback;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const TokenType type = data.types[i];
    if (data.tokens[i].empty() || type == TokenType::unused) continue;
    out[i] = type != TokenType::normal || (!merged[i] && !bytes);
  }
  for (const AddedToken& t : data.added) out[std::size_t(t.id)] = true;
  const auto need = [&](Token t) {
    if (t >= 0) out[std::size_t(t)] = true;
  };
  for (const auto* list : {&data.before, &data.after, &data.more_ends})
    for (const Token t : *list) need(t);
  for (const Token t : {data.bos, data.eos, data.unk, data.pad, data.sep, data.cls, data.mask}) need(t);
  return out;
}

// Takes a token with all that it is merged from.
class Taker {
 public:
  Taker(const TokenizerData& data, std::vector<bool> taken) : taken_(std::move(taken)), merges_of_(data.tokens.size()) {
    for (const Merge& m : data.merges) merges_of_[std::size_t(m.merged)].push_back(m);
    count_ = std::count(taken_.begin(), taken_.end(), true);
  }
  // Not at all where that would be more than `most` in all.
  void take(Token token, dim most) {
    std::vector<Token> fresh;
    std::vector<Token> open{token};
    while (!open.empty()) {
      const Token t = open.back();
      open.pop_back();
      if (t < 0 || taken_[std::size_t(t)]) continue;
      taken_[std::size_t(t)] = true;
      fresh.push_back(t);
      for (const Merge& m : merges_of_[std::size_t(t)]) open.insert(open.end(), {m.left, m.right});
    }
    count_ += dim(fresh.size());
    if (count_ <= most) return;
    for (const Token t : fresh) taken_[std::size_t(t)] = false;
    count_ -= dim(fresh.size());
  }
  dim count() const { return count_; }
  const std::vector<bool>& taken() const { return taken_; }

 private:
  std::vector<bool> taken_;
  std::vector<std::vector<Merge>> merges_of_;
  dim count_ = 0;
};

}  // namespace

std::vector<Token> select_tokens(const TokenizerData& data, std::span<const Token> order, dim most) {
  check_kind(data);
  Taker taker(data, needed(data));
  if (taker.count() > most)
    throw input_error("tokenizer", "expected room for the {} tokens that no text can do without, got {}", taker.count(),
                      most);
  for (const Token t : order)
    if (t >= 0 && t < data.size() && !data.tokens[std::size_t(t)].empty() &&
        data.types[std::size_t(t)] != TokenType::unused)
      taker.take(t, most);
  std::vector<Token> out;
  for (std::size_t i = 0; i < taker.taken().size(); ++i)
    if (taker.taken()[i]) out.push_back(Token(i));
  return out;
}

TokenizerData reduce_tokenizer(TokenizerData data, std::span<const Token> kept) {
  check_kind(data);
  std::vector<Token> now(data.tokens.size(), -1);
  for (std::size_t i = 0; i < kept.size(); ++i) now[std::size_t(kept[i])] = Token(i);
  const auto moved = [&](Token t) { return t < 0 ? t : now[std::size_t(t)]; };

  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<float> scores;
  for (const Token t : kept) {
    tokens.push_back(std::move(data.tokens[std::size_t(t)]));
    types.push_back(data.types[std::size_t(t)]);
    if (!data.scores.empty()) scores.push_back(data.scores[std::size_t(t)]);
  }
  data.tokens = std::move(tokens);
  data.types = std::move(types);
  data.scores = std::move(scores);

  std::vector<Merge> merges;
  for (const Merge& m : data.merges) {
    const bool whole =
        moved(m.merged) >= 0 && (m.left < 0 || moved(m.left) >= 0) && (m.right < 0 || moved(m.right) >= 0);
    if (whole) merges.push_back({moved(m.left), moved(m.right), moved(m.merged), m.rank});
  }
  data.merges = std::move(merges);
  std::erase_if(data.added, [&](const AddedToken& t) { return moved(t.id) < 0; });
  for (AddedToken& t : data.added) t.id = moved(t.id);
  for (auto* list : {&data.before, &data.after, &data.more_ends}) {
    for (Token& t : *list) t = moved(t);
    std::erase(*list, -1);
  }
  for (Token* t : {&data.bos, &data.eos, &data.unk, &data.pad, &data.sep, &data.cls, &data.mask}) *t = moved(*t);
  data.source_json.clear();
  data.source_config.clear();
  return data;
}

}  // namespace pith
