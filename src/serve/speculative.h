// Speculative decoding: a small model guesses, the model verifies several guesses in one run. What comes out is
// distributed as without the guesses (Leviathan, Kalman, Matias 2023; Chen et al. 2023).
#pragma once
#include <span>

#include "core/rng.h"
#include "model/model.h"
#include "model/sampler.h"

namespace pith {

struct Verdict {
  Token token = -1;
  bool accepted = false;  // else `token` takes the guess's place
};

// target, draft: probabilities that sum to 1, `guess` drawn from the latter. Accepts with probability min(1, p / q),
// else draws from max(0, p - q), normalized.
Verdict verify_guess(std::span<const Candidate> target, std::span<const Candidate> draft, Token guess, Rng& rng);

// Error(input) when the two do not spell every token alike.
void check_draft(const Model& model, const Model& draft);

}  // namespace pith
