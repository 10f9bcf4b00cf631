// Config's choice of rotary embedding in the terms of ops/rope.h.
#pragma once
#include "model/config.h"
#include "ops/rope.h"

namespace pith {

// sliding: of the layers with a window, which may have a base of their own and are then not scaled. `length` is the
// longest sequence in view.
RopeChoice rope_choice(const Config& config, bool sliding, dim length);

}  // namespace pith
