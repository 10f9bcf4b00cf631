#include "io/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>

#include "core/error.h"

namespace pith {

namespace {

constexpr std::size_t kShortWord = 40;     // symbols up to which scanning beats a heap
constexpr std::size_t kCachedBytes = 128;  // longer words rarely come again

std::uint64_t pair_key(Token left, Token right) {
  return std::uint64_t(std::uint32_t(left)) << 32 | std::uint64_t(std::uint32_t(right));
}

// The marker that spell() leaves for a byte without a token.
constexpr Token kMissingByte = std::numeric_limits<Token>::min();

}  // namespace

MergeTable::MergeTable(const std::vector<Merge>& merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16, merges.size() * 2));
  slots_.resize(slots);
  shift_ = 64 - std::countr_zero(slots);
  for (const Merge& m : merges) {
    const std::uint64_t key = pair_key(m.left, m.right);
    std::size_t at = std::size_t(key * 0x9E3779B97F4A7C15u >> shift_);
    while (slots_[at].found.rank != kNone && slots_[at].key != key) at = (at + 1) & (slots - 1);
    if (slots_[at].found.rank == kNone) slots_[at] = {key, {std::uint32_t(m.rank), m.merged}};
  }
}

MergeTable::Found MergeTable::find(Token left, Token right) const {
  const std::uint64_t key = pair_key(left, right);
  std::size_t at = std::size_t(key * 0x9E3779B97F4A7C15u >> shift_);
  while (slots_[at].found.rank != kNone && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
  return slots_[at].found;
}

BpeModel::BpeModel(const TokenizerData& data, const std::unordered_map<std::string_view, Token>& ids)
    : data_(data), ids_(ids), merges_(data.merges) {
  const bool bytes = data.model == VocabModel::byte_bpe;
  for (int b = 0; b < 256; ++b) {
    std::string name;
    if (bytes) {
      append_utf8(name, byte_alphabet()[std::size_t(b)]);
    } else {
      name = byte_token(b);
    }
    const auto found = ids.find(name);
    byte_tokens_[std::size_t(b)] = found == ids.end() ? -1 : found->second;
  }
  if (bytes) return;
  low_characters_.assign(0x10000, -1);
  for (const auto& [text, id] : ids) {
    if (text.empty() || data.types[std::size_t(id)] == TokenType::control) continue;
    const CodePoint c = decode_utf8(text, 0);
    if (std::size_t(c.bytes) != text.size()) continue;
    if (c.value < low_characters_.size()) {
      low_characters_[c.value] = id;
    } else {
      high_characters_.emplace(c.value, id);
    }
  }
  cuts_ = true;
  const auto last_character = [&](Token symbol) -> char32_t {
    if (symbol < 0) return char32_t(~symbol);
    const std::string& text = data.tokens[std::size_t(symbol)];
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    return decode_utf8(text, at).value;
  };
  const auto first_character = [&](Token symbol) -> char32_t {
    return symbol < 0 ? char32_t(~symbol) : decode_utf8(data.tokens[std::size_t(symbol)], 0).value;
  };
  for (const Merge& m : data.merges) {
    joinable_.insert(std::uint64_t(last_character(m.left)) << 32 | std::uint64_t(first_character(m.right)));
    for (const Token part : {m.left, m.right})
      if (part >= 0 && byte_of_token(data.tokens[std::size_t(part)]) >= 0) cuts_ = false;
  }
}

Token BpeModel::token_of(char32_t c) const {
  if (c < low_characters_.size()) return low_characters_[c];
  const auto found = high_characters_.find(c);
  return found == high_characters_.end() ? -1 : found->second;
}

void BpeModel::encode(std::string_view word, Session& session, std::vector<Token>& out) const {
  if (data_.ignore_merges) {
    const auto known = data_.model == VocabModel::byte_bpe ? ids_.find(spell_bytes(word)) : ids_.find(word);
    if (known != ids_.end()) return out.push_back(known->second);
  }
  if (data_.model == VocabModel::byte_bpe || !cuts_) return encode_chunk(word, session, out);
  const std::size_t word_start = out.size();
  std::size_t begin = 0;
  char32_t before = 0;
  const auto add_chunk = [&](std::size_t end) {
    const std::size_t seam = out.size();
    encode_chunk(word.substr(begin, end - begin), session, out);
    const bool unknown_meets_unknown =
        seam > word_start && seam < out.size() && out[seam - 1] == data_.unk && out[seam] == data_.unk;
    if (data_.fuse_unk && unknown_meets_unknown) out.erase(out.begin() + std::ptrdiff_t(seam));
    begin = end;
  };
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word, at);
    if (at > begin && !joinable(before, c.value)) add_chunk(at);
    before = c.value;
    at += std::size_t(c.bytes);
  }
  if (begin < word.size()) add_chunk(word.size());
}

void BpeModel::encode_chunk(std::string_view chunk, Session& session, std::vector<Token>& out) const {
  std::vector<Token>* kept = nullptr;
  if (chunk.size() <= kCachedBytes) {
    const auto [at, fresh] = session.words.try_emplace(std::string(chunk));
    kept = &at->second;
    if (!fresh) {
      out.insert(out.end(), kept->begin(), kept->end());
      return;
    }
  }
  spell(chunk, session.symbols);
  merge(session);
  const std::size_t first = out.size();
  emit(session.symbols, out);
  if (kept) kept->assign(out.begin() + std::ptrdiff_t(first), out.end());
}

void BpeModel::spell(std::string_view chunk, std::vector<Token>& symbols) const {
  symbols.clear();
  if (data_.model == VocabModel::byte_bpe) {
    for (const char c : chunk) {
      const Token token = byte_tokens_[static_cast<unsigned char>(c)];
      symbols.push_back(token < 0 ? kMissingByte : token);
    }
    return;
  }
  for (std::size_t at = 0; at < chunk.size();) {
    const CodePoint c = decode_utf8(chunk, at);
    const Token token = token_of(c.value);
    symbols.push_back(token < 0 ? ~Token(c.value) : token);
    at += std::size_t(c.bytes);
  }
}

void BpeModel::merge(Session& session) const {
  std::vector<Token>& symbols = session.symbols;
  if (symbols.size() > kShortWord) return merge_long(symbols);
  auto& pairs = session.pairs;
  pairs.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) pairs.push_back(merges_.find(symbols[i], symbols[i + 1]));
  while (!pairs.empty()) {
    const auto best =
        std::min_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (best->rank == MergeTable::kNone) return;
    const std::size_t at = std::size_t(best - pairs.begin());
    symbols[at] = best->merged;
    symbols.erase(symbols.begin() + std::ptrdiff_t(at) + 1);
    pairs.erase(best);
    if (at > 0) pairs[at - 1] = merges_.find(symbols[at - 1], symbols[at]);
    if (at < pairs.size()) pairs[at] = merges_.find(symbols[at], symbols[at + 1]);
  }
}

// The same with a heap over a linked list; stale entries are recognised by their parts.
void BpeModel::merge_long(std::vector<Token>& symbols) const {
  struct Candidate {
    std::uint32_t rank, at;
    Token left, right, merged;
    bool operator<(const Candidate& other) const {  // a max-heap must hand out the lowest first
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  if (symbols.size() >= std::numeric_limits<std::uint32_t>::max())
    throw input_error("tokenizer", "expected less than 4 GiB of text without a break");
  const auto count = std::uint32_t(symbols.size());
  const std::uint32_t none = count;
  std::vector<std::uint32_t> next(count), prev(count);
  std::vector<bool> dead(count, false);
  std::vector<Candidate> first;
  const auto candidate = [&](std::uint32_t at, std::uint32_t right) {
    const auto found = merges_.find(symbols[at], symbols[right]);
    return Candidate{found.rank, at, symbols[at], symbols[right], found.merged};
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    prev[i] = i == 0 ? none : i - 1;
    if (i + 1 == count) break;
    const Candidate c = candidate(i, i + 1);
    if (c.rank != MergeTable::kNone) first.push_back(c);
  }
  std::priority_queue<Candidate> heap(std::less<Candidate>(), std::move(first));
  const auto consider = [&](std::uint32_t at, std::uint32_t right) {
    const Candidate c = candidate(at, right);
    if (c.rank != MergeTable::kNone) heap.push(c);
  };
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    if (dead[top.at] || symbols[top.at] != top.left) continue;
    const std::uint32_t right = next[top.at];
    if (right == none || symbols[right] != top.right) continue;
    symbols[top.at] = top.merged;
    dead[right] = true;
    next[top.at] = next[right];
    if (next[right] != none) prev[next[right]] = top.at;
    if (prev[top.at] != none) consider(prev[top.at], top.at);
    if (next[top.at] != none) consider(top.at, next[top.at]);
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i)
    if (!dead[i]) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

void BpeModel::emit(const std::vector<Token>& symbols, std::vector<Token>& out) const {
  const std::size_t first = out.size();
  for (const Token symbol : symbols) {
    if (symbol >= 0) {
      out.push_back(symbol);
      continue;
    }
    if (symbol != kMissingByte && data_.byte_fallback) {
      std::string text;
      append_utf8(text, char32_t(~symbol));
      const auto id_of = [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
      if (std::all_of(text.begin(), text.end(), [&](char c) { return id_of(c) >= 0; })) {
        for (const char c : text) out.push_back(id_of(c));
        continue;
      }
    }
    if (data_.unk < 0) continue;
    if (!data_.fuse_unk || out.size() == first || out.back() != data_.unk) out.push_back(data_.unk);
  }
}

}  // namespace pith
