// float16 in unaligned bytes; values beyond its range become its largest, so that what is stored is always finite.
#pragma once
#include <cstring>

#include "core/half.h"

namespace pith {

inline float to_finite_half(float v) {
  v = v < 65504.0f ? v : 65504.0f;
  v = v > -65504.0f ? v : -65504.0f;
  return f16_to_f32(f32_to_f16(v));
}
inline float load_half(const std::byte* p) {
  std::uint16_t h;
  std::memcpy(&h, p, sizeof h);
  return f16_to_f32(h);
}
inline void store_half(std::byte* p, float v) {
  const std::uint16_t h = f32_to_f16(v);
  std::memcpy(p, &h, sizeof h);
}

}  // namespace pith
