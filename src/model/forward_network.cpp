#include "model/forward.h"

namespace pith {

// Apart from the rest, so that a network made by hand needs no Model.
Network Network::of(const Model& model, const ActPlan* act) {
  return {.config = &model.config(),
          .embed = model.embed(),
          .pos_embed = model.pos_embed(),
          .lm_head = model.lm_head(),
          .output_norm = model.output_norm(),
          .blocks = model.blocks(),
          .act = act};
}

}  // namespace pith
