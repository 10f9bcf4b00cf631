#pragma once
#include "core/buffer.h"

namespace pith {

inline float* reserve(Buffer& buffer, dim values) {
  buffer.reserve(values * dim(sizeof(float)));
  return buffer.as<float>();
}

}  // namespace pith
