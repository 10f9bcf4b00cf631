// Values in float16, each position by itself.
#pragma once
#include "ops/kv/kv_codec.h"

namespace pith {

KvSide half_side(dim width);

}  // namespace pith
