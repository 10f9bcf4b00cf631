// What methods that turn the whole model read of their options.
#pragma once
#include "core/options.h"
#include "model/rotate.h"

namespace pith {

inline bool turns_down(const Options& options) { return options.text("down") == "true"; }

inline RotationChoice rotation_choice(const Options& options) {
  return {.seed = std::uint64_t(options.number("rotation-seed")),
          .heads = options.text("heads") == "true",
          .down = turns_down(options)};
}

}  // namespace pith
