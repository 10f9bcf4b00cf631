// What the student itself says, to be judged by the teacher (generalized knowledge distillation, arXiv:2306.13649).
#pragma once
#include <deque>
#include <span>
#include <vector>

#include "model/forward.h"
#include "train/data.h"

namespace pith {

struct Rollout {
  double share = 0;        // of the steps that learn from the student's own tokens
  dim new_tokens = 128;    // most
  double temperature = 1;  // of drawing; 0: the likeliest
  double teacher_mix =
      0;  // tokens are drawn from this much of the teacher's distribution and the rest of the student's
  // The share starts as it is and grows by a tenth at each validation whose loss is `rise` above that of the one before
  // (DistiLLM, arXiv:2402.03898).
  bool adaptive = false;
  double rise = 0.1;
  // Texts that are kept to be learned from again; 0: none. Then, as the run goes on, an own step draws kept texts
  // instead of making new ones: always at its end.
  dim replay = 0;
  bool on() const { return share > 0 || adaptive; }
};
void check_rollout(const Rollout& rollout);  // Error(input)

// Each begins as the given does, up to the first predicted token (half of it, where that leaves fewer than 8), and goes
// on with tokens that the network draws, until one of `ends`, new_tokens or max_length. Those are predicted. The same
// seed draws the same. teacher: for teacher_mix above 0, of the same tokens.
std::vector<TrainingSequence> roll_out(const Network& network, std::span<const TrainingSequence* const> given,
                                       const Rollout& rollout, dim max_length, std::uint64_t seed,
                                       std::span<const Token> ends, const Network* teacher = nullptr);

// Which steps learn from own texts, and those that are kept.
class OwnTexts {
 public:
  OwnTexts(const Rollout& rollout, std::uint64_t seed, dim planned_steps);
  bool is_own(dim step) const;
  // Of an own step: whether texts are made, which keep() then gets; else kept ones are drawn.
  bool makes(dim step, dim count) const;
  void keep(std::span<const TrainingSequence> made);
  std::vector<TrainingSequence> draw(dim step, dim count) const;
  void validated(double loss);  // in the order of validations

  double share() const { return share_; }
  const std::deque<TrainingSequence>& kept() const { return kept_; }
  void restore(std::deque<TrainingSequence> kept) { kept_ = std::move(kept); }

 private:
  double uniform(dim step, std::uint64_t stream) const;
  const Rollout& rollout_;
  std::uint64_t seed_;
  dim planned_;
  double share_, before_ = -1;
  std::deque<TrainingSequence> kept_;
};

}  // namespace pith
