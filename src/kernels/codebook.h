// The lattice formats: 256 values in groups of 8, each a codebook point (or two of 4 coordinates) times signs and a
// scale. What a block holds once its bits are taken apart, the search for it, and its values. The bit layouts are
// in formats/.
#pragma once
#include "core/base.h"
#include "kernels/codebook_points.h"
#include "kernels/isa.h"
#include "kernels/search.h"

namespace pith::kernels {

enum class Lattice { iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq1_s, iq1_m };

struct LatticeGroup {           // 8 values
  std::uint16_t point[2] = {};  // the second is of coordinates 4-7 where points have 4
  std::uint8_t signs = 0;       // bit i: value i is negated. iq1: unused
  std::uint8_t shift_down = 0;  // iq1: the coordinates are less 1/8 instead of plus 1/8. One for 32 values in iq1_s
};
struct LatticeBlock {
  std::uint16_t d = 0;          // float16 bits
  std::uint8_t scale[16] = {};  // per sub-block, 0..15 (iq1: 0..7)
  LatticeGroup group[32];
};

struct LatticeFacts {
  const Codebook& book;
  int sub;           // values of a sub-block: one scale
  int scales;        // a scale is in [0, scales)
  float scale_plus;  // the step of a sub-block is d * (scale + scale_plus) * scale_times
  float scale_times;
  bool even_signs;     // an even number of the signs of a group are negative
  bool signed_levels;  // signs are in the points themselves, and shifts exist (iq1)
};
const LatticeFacts& facts_of(Lattice kind);

constexpr float kLatticeShift = 0.125f;

inline float step_of(const LatticeFacts& f, float d, int scale) {
  return d * (float(scale) + f.scale_plus) * f.scale_times;
}

struct LatticeKernels {
  // x: 256 finite values; importance: 256 weights of the squared errors, or null.
  void (*encode)(Lattice, const float* x, const float* importance, const SearchPlan&, LatticeBlock* out);
  void (*values)(Lattice, const LatticeBlock*, float* out);
};

const LatticeKernels& lattice_kernels(Isa isa);
inline const LatticeKernels& lattice_kernels() { return lattice_kernels(active_isa()); }

}  // namespace pith::kernels
