#include "train/rollout.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/rng.h"
#include "model/sampler.h"
#include "train/losses/row_sums.h"

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

// The distributions that tokens are drawn from, as logits.
class Mixture {
 public:
  Mixture(const Network& teacher, double share, double temperature, dim sequences, dim capacity)
      : vocab_(teacher.config->vocab),
        share_(share),
        temperature_(temperature),
        forward_(teacher),
        cache_(*teacher.config, sequences, capacity) {}

  // Reads what the student's cache is about to.
  void read(std::span<const Chunk> chunks) {
    rows_.clear();
    forward_.run(cache_, chunks, [&](dim, const float* logits, dim rows) {
      rows_.insert(rows_.end(), logits, logits + rows * vocab_);
    });
  }
  // ln(share p + (1 - share) q) in place of the student's logits, (vocab), of the row that was read.
  void mix(dim row, float* z, dim vocab) {
    const dim both = std::min(vocab, vocab_);
    p_.resize(std::size_t(both));
    log_softmax(rows_.data() + row * vocab_, both, temperature_, p_.data());
    log_softmax(z, vocab, temperature_, z);
    for (dim v = 0; v < vocab; ++v) {
      const double p = v < both ? std::exp(double(p_[std::size_t(v)])) : 0;
      z[v] = float(std::log(std::max(share_ * p + (1 - share_) * std::exp(double(z[v])), 1e-30)));
    }
  }

 private:
  dim vocab_;
  double share_, temperature_;
  Forward forward_;
  KvCache cache_;
  std::vector<float> rows_, p_;
};

constexpr std::uint64_t kOwn = 0x6f776e, kFresh = 0x667265, kPicked = 0x706963;  // streams apart from the data's order

}  // namespace

void check_rollout(const Rollout& r) {
  if (!(r.share >= 0 && r.share <= 1)) throw input_error("on-policy", "expected a share from 0 to 1, got {}", r.share);
  if (!(r.teacher_mix >= 0 && r.teacher_mix < 1))
    throw input_error("teacher-mix", "expected a share from 0 to below 1, got {}", r.teacher_mix);
  if (r.teacher_mix > 0 && !(r.temperature > 0))
    throw input_error("draw-temperature", "expected it above 0 where the teacher draws too, got {}", r.temperature);
  if (!(r.rise >= 0 && r.rise <= 100)) throw input_error("rise", "expected 0 to 100, got {}", r.rise);
  if (r.replay < 0 || r.replay > 1000000) throw input_error("replay", "expected 0 to 1000000 texts, got {}", r.replay);
  if (r.on() && r.new_tokens < 1) throw input_error("new tokens", "expected 1 or more, got {}", r.new_tokens);
}

std::vector<TrainingSequence> roll_out(const Network& network, std::span<const TrainingSequence* const> given,
                                       const Rollout& r, dim max_length, std::uint64_t seed,
                                       std::span<const Token> ends, const Network* teacher) {
  PITH_CHECK(r.teacher_mix == 0 || teacher);
  const auto count = dim(given.size()), vocab = network.config->vocab;
  std::vector<TrainingSequence> all;
  std::vector<Sampler> samplers;
  for (dim i = 0; i < count; ++i) {
    all.push_back(prompt_of(*given[std::size_t(i)]));
    const double temperature = r.teacher_mix > 0 ? 1 : r.temperature;  // a mixture has it already
    samplers.emplace_back(SamplerOptions{.temperature = temperature, .seed = mix64(seed, std::uint64_t(i))});
  }
  Forward forward(network);
  KvCache cache(*network.config, count, max_length);
  std::optional<Mixture> mixture;
  if (r.teacher_mix > 0) mixture.emplace(*teacher, r.teacher_mix, r.temperature, count, max_length);
  std::vector<float> mixed(static_cast<std::size_t>(vocab));
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
    if (mixture) mixture->read(chunks);
    forward.run(cache, chunks, [&](dim first, const float* logits, dim rows) {
      for (dim row = 0; row < rows; ++row) {
        const auto i = std::size_t(live[std::size_t(first + row)]);
        std::copy_n(logits + row * vocab, vocab, mixed.data());
        if (mixture) mixture->mix(first + row, mixed.data(), vocab);
        next.push_back(samplers[i].sample(mixed, all[i].tokens));
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

OwnTexts::OwnTexts(const Rollout& rollout, std::uint64_t seed, dim planned_steps)
    : rollout_(rollout), seed_(seed), planned_(planned_steps), share_(rollout.share) {}

double OwnTexts::uniform(dim step, std::uint64_t stream) const {
  return double(uniform_at(mix64(seed_, stream), std::uint64_t(step)));
}

bool OwnTexts::is_own(dim step) const { return uniform(step, kOwn) < share_; }

bool OwnTexts::makes(dim step, dim count) const {
  if (rollout_.replay == 0 || dim(kept_.size()) < count) return true;
  return uniform(step, kFresh) < 1 - double(step) / double(planned_);
}

void OwnTexts::keep(std::span<const TrainingSequence> made) {
  if (rollout_.replay == 0) return;
  for (const TrainingSequence& s : made)
    if (s.count() > 0) kept_.push_back(s);
  while (dim(kept_.size()) > rollout_.replay) kept_.pop_front();
}

std::vector<TrainingSequence> OwnTexts::draw(dim step, dim count) const {
  std::vector<TrainingSequence> drawn;
  Rng rng(mix64(mix64(seed_, kPicked), std::uint64_t(step)));
  for (dim i = 0; i < count; ++i) drawn.push_back(kept_[std::size_t(rng.below(dim(kept_.size())))]);
  return drawn;
}

void OwnTexts::validated(double loss) {
  if (rollout_.adaptive && before_ >= 0 && loss > before_ + rollout_.rise) share_ = std::min(1.0, share_ + 0.1);
  before_ = loss;
}

}  // namespace pith
