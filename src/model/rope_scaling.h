// Arithmetic of rotary scalings that containers spell differently.
#pragma once
#include <vector>

#include "model/config.h"

namespace pith {

// Divisors of the frequencies, (dims / 2), that stand for llama3 scaling: what GGUF stores as rope_freqs.weight.
// The rule: 1 for short wavelengths, `factor` for long ones, a blend between (Llama 3.1).
std::vector<float> llama3_freq_factors(const Rope& rope);

// What YaRN multiplies cos and sin by unless told otherwise: 0.1 ln(factor) + 1 (Peng et al. 2023).
double yarn_attn_factor(double factor);

// What LongRoPE multiplies cos and sin by unless told otherwise: sqrt(1 + ln(stretch) / ln(original)), for a model
// stretched from `original` to stretch * original tokens.
double longrope_attn_factor(double stretch, dim original);

// The same rotation with freq_factors turned back into the llama3 parameters that make them. Error(input) when none
// of the published parameters does.
Rope named_scaling(const Rope& rope);

}  // namespace pith
