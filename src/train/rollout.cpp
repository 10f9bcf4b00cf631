#include "train/rollout.h"

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "model/sampler.h"

namespace pith {

namespace {

constexpr dim kShortPrompt = 8;

TrainingSequence prompt_of(const TrainingSequence& s) {
  auto count = dim(std::find(s.predicted.begin(), s.predicted.end(), 1) - s.predicted.begin());
  if (count < kShortPrompt) count = std::max<dim>(count, dim(s.tokens.size()) / 2);
  TrainingSequence prompt;
  prompt.tokens.assign(s.tokens.begin(), s.tokens.begin() + count);
  prompt.predicted.assign(std::size_t(count), 0);
  return prompt;
}

}  // namespace

void check_rollout(const Rollout& r) {
  if (!(r.share >= 0 && r.share <= 1)) throw input_error("on-policy", "expected a share from 0 to 1, got {}", r.share);
  if (r.share > 0 && r.new_tokens < 1) throw input_error("new tokens", "expected 1 or more, got {}", r.new_tokens);
}

bool is_own_step(const Rollout& r, std::uint64_t seed, dim step) {
  constexpr std::uint64_t kStream = 0x6f776e;  // apart from the order of data
  return double(uniform_at(mix64(seed, kStream), std::uint64_t(step))) < r.share;
}

std::vector<TrainingSequence> roll_out(const Network& network, std::span<const TrainingSequence* const> given,
                                       const Rollout& r, dim max_length, std::uint64_t seed,
                                       std::span<const Token> ends) {
  const auto count = dim(given.size()), vocab = network.config->vocab;
  std::vector<TrainingSequence> all;
  std::vector<Sampler> samplers;
  for (dim i = 0; i < count; ++i) {
    all.push_back(prompt_of(*given[std::size_t(i)]));
    samplers.emplace_back(SamplerOptions{.temperature = r.temperature, .seed = mix64(seed, std::uint64_t(i))});
  }
  Forward forward(network);
  KvCache cache(*network.config, count, max_length);
  std::vector<dim> live;
  for (dim i = 0; i < count; ++i)
    if (!all[std::size_t(i)].tokens.empty() && dim(all[std::size_t(i)].tokens.size()) < max_length) live.push_back(i);
  for (dim drawn = 0; drawn < r.new_tokens && !live.empty(); ++drawn) {
    std::vector<Chunk> chunks;
    for (const dim i : live) {
      const auto& tokens = all[std::size_t(i)].tokens;
      const auto known = std::size_t(cache.length(i));
      chunks.push_back({i, std::span(tokens).subspan(known), dim(tokens.size() - known) - 1});
    }
    std::vector<Token> next;
    forward.run(cache, chunks, [&](dim first, const float* logits, dim rows) {
      for (dim row = 0; row < rows; ++row) {
        const auto i = std::size_t(live[std::size_t(first + row)]);
        next.push_back(samplers[i].sample({logits + row * vocab, std::size_t(vocab)}, all[i].tokens));
      }
    });
    std::vector<dim> still;
    for (std::size_t k = 0; k < live.size(); ++k) {
      TrainingSequence& s = all[std::size_t(live[k])];
      s.tokens.push_back(next[k]);
      s.predicted.push_back(1);
      const bool ended = std::find(ends.begin(), ends.end(), next[k]) != ends.end();
      if (!ended && dim(s.tokens.size()) < max_length) still.push_back(live[k]);
    }
    live = std::move(still);
  }
  return all;
}

}  // namespace pith
