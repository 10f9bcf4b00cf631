// Seeded random numbers that are the same everywhere (std distributions are not).
#pragma once
#include "core/base.h"

namespace pith {

// A well-mixed 64-bit value for (seed, index): random access, so any thread may draw any index.
// SplitMix64's finalizer (Steele, Lea, Flood 2014).
inline std::uint64_t mix64(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// Uniform in [0, 1) with 24 bits, for (seed, index).
inline float uniform_at(std::uint64_t seed, std::uint64_t index) { return float(mix64(seed, index) >> 40) * 0x1p-24f; }

class Rng {  // the same numbers one after another
 public:
  explicit Rng(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() { return mix64(seed_, index_++); }
  double uniform() { return double(next() >> 11) * 0x1p-53; }  // [0, 1)
  dim below(dim n) { return dim(uniform() * double(n)); }      // [0, n)
  double normal();                                             // N(0, 1), Box-Muller

 private:
  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

}  // namespace pith
