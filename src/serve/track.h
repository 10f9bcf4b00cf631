// A model that follows one text: what it has read lies in its cache, and is not read again.
#pragma once
#include <atomic>
#include <vector>

#include "model/forward.h"

namespace pith {

class Track {
 public:
  // network: must outlive this.
  Track(const Network& network, dim capacity, const KvSpec& kv);

  // Reads what of `text` it has not, and gives the logits after each of its last `wanted` tokens, (wanted, vocab),
  // until the next call. What it read beyond the beginning that it has in common with `text` is forgotten. Empty when
  // `interrupted` became true. Error(input) when the text is longer than the capacity.
  std::span<const float> read(std::span<const Token> text, dim wanted = 1,
                              const std::atomic<bool>* interrupted = nullptr);
  // Tokens at the beginning of `text` that `read` would not read again.
  dim common(std::span<const Token> text, dim wanted = 1) const;
  void forget(dim from);  // all tokens from there on

  std::span<const Token> tokens() const { return tokens_; }
  // For the one who fills the cache from elsewhere: `tokens` are what it then holds.
  void set_tokens(std::vector<Token> tokens);
  const Config& config() const { return *config_; }
  KvCache& cache() { return cache_; }
  const KvCache& cache() const { return cache_; }

 private:
  const Config* config_;
  Forward forward_;
  KvCache cache_;
  std::vector<Token> tokens_;  // in the cache
  std::vector<float> logits_;  // after the last rows_ tokens
  dim rows_ = 0;
};

}  // namespace pith
