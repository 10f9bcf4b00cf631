#include "model/forward_rope.h"

namespace pith {

namespace {

RopeRule rule_of(const Rope& r) {
  switch (r.scaling) {
    case RopeScaling::none:
      return RopeRule::none;
    case RopeScaling::linear:
      return RopeRule::linear;
    case RopeScaling::llama3:
      return r.freq_factors.empty() ? RopeRule::llama3 : RopeRule::factors;
    case RopeScaling::yarn:
      return RopeRule::yarn;
    case RopeScaling::longrope:
      return RopeRule::factors;
    case RopeScaling::dynamic:
      return RopeRule::dynamic;
  }
  return RopeRule::none;
}

}  // namespace

RopeChoice rope_choice(const Config& c, bool sliding, dim length) {
  const Rope& r = c.rope;
  RopeChoice choice;
  choice.dims = r.dims > 0 ? r.dims : c.head_dim;
  choice.base = r.base;
  if (sliding && c.rope_base_sliding > 0) {
    choice.base = c.rope_base_sliding;
    return choice;
  }
  choice.rule = rule_of(r);
  choice.factor = r.factor;
  choice.original_context = r.original_context > 0 ? r.original_context : c.context;
  choice.low_freq_factor = r.low_freq_factor;
  choice.high_freq_factor = r.high_freq_factor;
  choice.beta_fast = r.beta_fast;
  choice.beta_slow = r.beta_slow;
  if (r.scaling == RopeScaling::yarn || r.scaling == RopeScaling::longrope) choice.magnitude = r.attn_factor;
  const bool stretched = r.scaling == RopeScaling::longrope && length > choice.original_context;
  choice.divisors = stretched ? r.long_factors : r.freq_factors;
  return choice;
}

}  // namespace pith
