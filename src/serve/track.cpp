#include "serve/track.h"

#include <algorithm>

#include "core/error.h"

namespace pith {

namespace {
constexpr dim kChunk = 512;  // tokens between two looks at `interrupted`
}

Track::Track(const Network& network, dim capacity, const KvSpec& kv)
    : config_(network.config), forward_(network), cache_(*network.config, 1, capacity, kv) {}

// Encoded caches let go of what they kept exactly, so they go on only from where they are.
dim Track::common(std::span<const Token> text, dim wanted) const {
  const auto end = std::mismatch(text.begin(), text.end(), tokens_.begin(), tokens_.end()).first;
  const dim same = std::min(dim(end - text.begin()), dim(text.size()) - wanted);
  return same < dim(tokens_.size()) && cache_.encoded() ? 0 : same;
}

void Track::forget(dim from) {
  cache_.truncate(0, from);
  if (from >= dim(tokens_.size())) return;
  tokens_.resize(std::size_t(from));
  rows_ = 0;
}

void Track::set_tokens(std::vector<Token> tokens) {
  PITH_CHECK(dim(tokens.size()) == cache_.length(0));
  tokens_ = std::move(tokens);
  rows_ = 0;
}

std::span<const float> Track::read(std::span<const Token> text, dim wanted, const std::atomic<bool>* interrupted) {
  PITH_CHECK(wanted >= 1 && wanted <= dim(text.size()));
  const dim end = dim(text.size()), wanted_from = end - wanted;
  if (wanted <= rows_ && std::equal(text.begin(), text.end(), tokens_.begin(), tokens_.end()))
    return std::span(logits_).last(std::size_t(wanted * config_->vocab));
  dim at = common(text, wanted);
  forget(at);
  const dim vocab = config_->vocab;
  logits_.resize(std::size_t(wanted * vocab));
  rows_ = 0;
  dim row = 0;
  try {
    while (at < end) {
      if (interrupted && interrupted->load()) return {};
      const dim count = std::min(kChunk, end - at);
      const auto tokens = text.subspan(std::size_t(at), std::size_t(count));
      const Chunk chunk = {0, tokens, std::clamp<dim>(wanted_from - at, 0, count)};
      forward_.run(cache_, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
        std::copy_n(logits, rows * vocab, logits_.data() + row * vocab);
        row += rows;
      });
      tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
      at += count;
    }
  } catch (...) {
    forget(0);
    throw;
  }
  rows_ = wanted;
  return logits_;
}

}  // namespace pith
