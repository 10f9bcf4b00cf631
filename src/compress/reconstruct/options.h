// The options that methods which learn on a block share.
#pragma once
#include "core/options.h"

namespace pith {

inline OptionSpec iterations_option(std::string_view standard) {
  return {.name = "iterations",
          .default_value = standard,
          .help = "steps on each block; 0: what was rounded stays",
          .choices = {},
          .low = 0,
          .high = 1e6};
}

inline OptionSpec batch_option() {
  return {.name = "batch",
          .default_value = "4",
          .help = "samples of the calibration text in a step",
          .choices = {},
          .low = 1,
          .high = 1e4};
}

}  // namespace pith
