// SentencePiece's BPE vocabularies hold scores instead of merges; the two are made from each other here.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "core/error.h"
#include "io/tokenizer/data.h"

namespace pith {

namespace {

constexpr std::size_t kMaxSplitBytes = 512;  // a longer token is no product of merges worth trying

bool can_be_merged(TokenType type) {
  return type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused;
}

}  // namespace

std::vector<Merge> merges_of_scores(const TokenizerData& data) {
  std::unordered_map<std::string_view, Token> ids;
  std::vector<float> distinct;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    if (data.tokens[i].empty() || !can_be_merged(data.types[i])) continue;
    ids.emplace(data.tokens[i], Token(i));
    distinct.push_back(data.scores[i]);
  }
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  // A part is a token, or a character that is none.
  const auto symbol = [&](std::string_view part, Token& out) {
    const auto found = ids.find(part);
    if (found != ids.end()) {
      out = found->second;
      return true;
    }
    const CodePoint c = decode_utf8(part, 0);
    out = ~Token(c.value);
    return std::size_t(c.bytes) == part.size();
  };
  std::vector<Merge> merges;
  for (const auto& [text, id] : ids) {
    if (text.size() > kMaxSplitBytes) continue;
    const auto rank =
        std::lower_bound(distinct.begin(), distinct.end(), data.scores[std::size_t(id)], std::greater<>()) -
        distinct.begin();
    for (std::size_t at = 1; at < text.size(); ++at) {
      if ((text[at] & 0xC0) == 0x80) continue;
      Token left = -1, right = -1;
      if (symbol(text.substr(0, at), left) && symbol(text.substr(at), right)) merges.push_back({left, right, id, rank});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.rank, a.merged, a.left, a.right) < std::tie(b.rank, b.merged, b.left, b.right);
  });
  return merges;
}

std::vector<float> scores_of_merges(const TokenizerData& data) {
  // The earlier a token is first made, the higher its score; tokens that no merge makes come last.
  std::vector<float> scores(data.tokens.size(), 0.0f);
  std::vector<bool> scored(data.tokens.size(), false);
  dim next = 0;
  for (const Merge& merge : data.merges) {
    const auto at = std::size_t(merge.merged);
    if (scored[at]) continue;
    scored[at] = true;
    scores[at] = -float(next++);
  }
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!scored[i] && can_be_merged(data.types[i])) scores[i] = -float(next++);
  return scores;
}

void check_scores_say_the_merges(const TokenizerData& data, const std::vector<float>& scores) {
  TokenizerData scored;
  scored.tokens = data.tokens;
  scored.types = data.types;
  scored.scores = scores;
  const auto pairs = [](const std::vector<Merge>& merges) {
    std::vector<std::pair<Token, Token>> out;
    for (const Merge& m : merges) out.emplace_back(m.left, m.right);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  };
  const auto said = pairs(merges_of_scores(scored)), meant = pairs(data.merges);
  if (said == meant) return;
  throw Error(
      Blame::input, "tokenizer",
      fmt::format("expected merges that follow from the vocabulary, as SentencePiece makes them; the file has {} "
                  "merges, the vocabulary allows {}",
                  meant.size(), said.size()),
      "GGUF cannot hold this vocabulary; write safetensors");
}

}  // namespace pith
