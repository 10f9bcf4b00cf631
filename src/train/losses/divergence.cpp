#include "train/losses/divergence.h"

#include "core/error.h"

namespace pith {

#define PITH_DIVERGENCE(name) extern const Divergence divergence_##name;
#include "train/losses/divergences.def"
#undef PITH_DIVERGENCE

const std::vector<const Divergence*>& divergences() {
  static const std::vector<const Divergence*> all = {
#define PITH_DIVERGENCE(name) &divergence_##name,
#include "train/losses/divergences.def"
#undef PITH_DIVERGENCE
  };
  return all;
}

const Divergence& divergence_or_throw(std::string_view name) {
  std::string names;
  for (const Divergence* d : divergences()) {
    if (name == d->name) return *d;
    names += (names.empty() ? "" : ", ") + std::string(d->name);
  }
  throw input_error("loss", "expected one of {}, got {}", names, name);
}

void check_divergence_options(const DivergenceOptions& o) {
  if (!(o.beta > 0 && o.beta < 1))
    throw Error(Blame::input, "beta", fmt::format("expected a number between 0 and 1, got {}", o.beta),
                "the limits 0 and 1 are forward_kl and reverse_kl");
  if (!(o.alpha > 0 && o.alpha < 1)) throw input_error("alpha", "expected a number between 0 and 1, got {}", o.alpha);
  if (!(o.gamma <= 1)) throw input_error("gamma", "expected a number up to 1, got {}", o.gamma);
}

}  // namespace pith
