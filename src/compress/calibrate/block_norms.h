// The norms of a block by role, as `find_linear` finds its matrices.
#pragma once
#include "model/model.h"

namespace pith {

// Null where no such norm lies in a block. two: it has attn_norm_2, and so attn_norm is the feed-forward's.
Norm* find_norm(Block& block, Role role, bool two = false);

}  // namespace pith
