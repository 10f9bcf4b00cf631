// What the student itself says, to be judged by the teacher (generalized knowledge distillation, arXiv:2306.13649).
#pragma once
#include <span>
#include <vector>

#include "model/forward.h"
#include "train/data.h"

namespace pith {

struct Rollout {
  double share = 0;        // of the steps that learn from the student's own tokens
  dim new_tokens = 128;    // most
  double temperature = 1;  // of drawing; 0: the likeliest
};
void check_rollout(const Rollout& rollout);  // Error(input)

// Whether this step learns from own tokens.
bool is_own_step(const Rollout& rollout, std::uint64_t seed, dim step);

// Each begins as the given does, up to the first predicted token (half of it, where that leaves fewer than 8), and goes
// on with tokens that the network draws, until one of `ends`, new_tokens or max_length. Those are predicted. The same
// seed draws the same.
std::vector<TrainingSequence> roll_out(const Network& network, std::span<const TrainingSequence* const> given,
                                       const Rollout& rollout, dim max_length, std::uint64_t seed,
                                       std::span<const Token> ends);

}  // namespace pith
