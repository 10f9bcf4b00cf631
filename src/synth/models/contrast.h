// Answers decoded from two prompts at once: what the one makes likelier than the other does (Contrast, text_model.h).
#pragma once
#include <span>
#include <vector>

#include "model/forward.h"
#include "serve/generate.h"
#include "synth/text_model.h"

namespace pith::synth {

struct Contrasted {
  std::vector<Token> prompt, against;
  double weight = 0.5, plausible = 0.1;
  GenerateOptions options;
};

// Each answer depends on its pair alone. limit: tokens of prompt and answer. Both prompts are shorter than that.
std::vector<Reply> contrast_answers(const Network& network, const KvSpec& kv, const Tokenizer& tokenizer, dim limit,
                                    std::span<const Contrasted> pairs);

// Logits to draw from: ln p + weight * (ln p - ln q) where p reaches `plausible` times its largest, else far below.
// logits of both: (vocab), finite; `against` becomes the result.
void contrast_logits(std::span<const float> logits, double weight, double plausible, std::span<float> against);

}  // namespace pith::synth
