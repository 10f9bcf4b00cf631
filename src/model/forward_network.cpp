#include "model/forward.h"

namespace pith {

// Apart from the rest, so that a network made by hand needs no Model.
Network Network::of(const Model& model) {
  return {&model.config(), model.embed(), model.pos_embed(), model.lm_head(), model.output_norm(), model.blocks()};
}

}  // namespace pith
