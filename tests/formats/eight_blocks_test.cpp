// Eight blocks together give the bytes that each gives alone.
#include "kernels/eight_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

enum class Kind { normal, tiny, huge, subnormal, few_levels, even_ends, zeros, one_value, both_zeros };

std::vector<float> blocks_of(Kind kind, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(256);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float v = float(rng.normal());
    switch (kind) {
      case Kind::normal:
        x[i] = v * float(std::exp(double(i / 32) - 4)) + (seed % 2 ? 3.0f : 0.0f);
        break;
      case Kind::tiny:
        x[i] = v * 1e-7f;
        break;
      case Kind::huge:
        x[i] = v * 1e30f;
        break;
      case Kind::subnormal:
        x[i] = v * 1e-41f;
        break;
      case Kind::few_levels:
        x[i] = std::round(v * 2) / 4;
        break;
      case Kind::even_ends:
        x[i] = i % 32 == 5 ? -4.0f : i % 32 == 9 ? 4.0f : std::fmod(v, 4.0f);
        break;
      case Kind::zeros:
        x[i] = i / 32 % 2 ? v : 0.0f;
        break;
      case Kind::one_value:
        x[i] = float(i / 32) - 3.5f;
        break;
      case Kind::both_zeros:
        x[i] = i % 3 ? v : v > 0 ? 0.0f : -0.0f;
        break;
    }
  }
  return x;
}

TEST(EightBlocks, GiveWhatEachGivesAlone) {
  const struct {
    const char* format;
    kernels::EightBlockKernels::Encode kernels::EightBlockKernels::*encode;
  } kFormats[] = {{"q4_0", &kernels::EightBlockKernels::q4_0},
                  {"q4_1", &kernels::EightBlockKernels::q4_1},
                  {"q5_0", &kernels::EightBlockKernels::q5_0},
                  {"q5_1", &kernels::EightBlockKernels::q5_1}};
  std::vector<Isa> sets = {Isa::scalar};
  if (active_isa() != Isa::scalar) sets.push_back(active_isa());
  for (const auto& f : kFormats) {
    const Format& format = format_or_throw(f.format);
    const auto block_bytes = std::size_t(format.block_bytes);
    for (int kind = 0; kind <= int(Kind::both_zeros); ++kind)
      for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const auto x = blocks_of(Kind(kind), seed);
        std::vector<std::byte> alone(8 * block_bytes), together(8 * block_bytes);
        for (std::size_t b = 0; b < 8; ++b)
          format.encode(format, x.data() + 32 * b, nullptr, 32, RangeSearch{}, alone.data() + b * block_bytes);
        for (const Isa isa : sets) {
          (kernels::eight_block_kernels(isa).*f.encode)(x.data(), together.data());
          ASSERT_EQ(alone, together) << f.format << ", kind " << kind << ", seed " << seed << ", isa " << int(isa);
        }
      }
  }
}

}  // namespace
}  // namespace pith
