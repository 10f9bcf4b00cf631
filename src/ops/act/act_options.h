// Options that several codecs share.
#pragma once
#include "ops/act/act_codec.h"

namespace pith {

inline OptionSpec scale_option() {
  return {"scale", "token", "each token's own, or a number of each layer that calibration found", {"token", "static"}};
}
inline OptionSpec clip_option(std::string_view by_default) {
  return {"clip", by_default, "share of a token's largest value that gets the largest code", {}, 0.1, 1};
}

}  // namespace pith
