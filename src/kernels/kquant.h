// The super-blocks of 256 values: what they hold once their bits are taken apart, the search for their scales
// and codes, and their values. The bit layouts are in formats/.
#pragma once
#include "core/base.h"
#include "kernels/isa.h"
#include "kernels/search.h"

namespace pith::kernels {

constexpr dim kSuperBlock = 256;

enum class KKind { q2, q3, q4, q5, q6, iq4 };

// q2, q4, q5: value = d * scale * code - dmin * min. q3, q6: value = d * scale * (code - 4 or 32).
// iq4: value = d * scale * table[code]. Sub-blocks are of 16 values (q2, q3, q6) or 32 (q4, q5, iq4).
struct KBlock {
  std::uint16_t d = 0;     // float16 bits
  std::uint16_t dmin = 0;  // float16 bits
  std::int8_t scale[16] = {};
  std::uint8_t min[16] = {};
  std::uint8_t code[kSuperBlock] = {};
};

struct KquantKernels {
  // x: 256 finite values; importance: 256 weights of the squared errors, or null.
  void (*encode)(KKind, const float* x, const float* importance, const SearchPlan&, KBlock* out);
  void (*values)(KKind, const KBlock*, float* out);
};

const KquantKernels& kquant_kernels(Isa isa);
inline const KquantKernels& kquant_kernels() { return kquant_kernels(active_isa()); }

// The 16 levels of iq4, ascending.
inline constexpr float kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr std::int8_t kIq4Codes[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace pith::kernels
