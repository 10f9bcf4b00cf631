// What the seven lattice formats share. A layout gives
//   kKind, kBytes;
//   d(block), set_d(block, f16 bits); scale(block, s), set_scale(block, s, scale);
//   group(block, g), set_group(block, g, group).
#pragma once
#include <cstring>

#include "core/half.h"
#include "formats/format.h"
#include "kernels/codebook.h"

namespace pith::lattice {

using kernels::Lattice;
using kernels::LatticeBlock;
using kernels::LatticeGroup;

constexpr dim kValues = 256, kGroups = 32;

inline int byte_at(const std::byte* p, dim i) { return std::to_integer<int>(p[i]); }
inline void put_byte(std::byte* p, dim i, int value) { p[i] = std::byte(value); }
// Sets the bits of `mask` at `shift` of byte i.
inline void put_bits(std::byte* p, dim i, int shift, int mask, int value) {
  p[i] = (p[i] & ~(std::byte(mask) << shift)) | (std::byte(value & mask) << shift);
}
inline std::uint16_t read_u16(const std::byte* p) {
  std::uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void write_u16(std::byte* p, std::uint16_t v) { std::memcpy(p, &v, sizeof v); }
inline std::uint32_t read_u32(const std::byte* p) {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void write_u32(std::byte* p, std::uint32_t v) { std::memcpy(p, &v, sizeof v); }

// Seven signs are stored; the eighth makes the number of negative ones even.
inline std::uint8_t even_signs(std::uint32_t seven) {
  return std::uint8_t((seven & 127) | std::uint32_t(__builtin_parity(seven & 127)) << 7);
}

kernels::SearchPlan plan_of(const RangeSearch& search);

// Moves value j of a group to the nearest value that the codebook can give it while the group's other values stay.
// Returns whether the group changed.
bool move_value(Lattice kind, float step, dim j, float value, LatticeGroup& group);
// The points and signs nearest to 8 values at a step, by the sum of weights * error^2. Where a sub-block shares its
// shift (iq1_s) the group keeps the one it has.
void nearest_group(Lattice kind, float step, const float* values, const float* weights, LatticeGroup& group);
float value_of(Lattice kind, float step, dim j, const LatticeGroup& group);

template <class Layout>
dim bytes_of(const Format&, dim n) {
  return n / kValues * Layout::kBytes;
}

template <class Layout>
void decode(const Format&, const std::byte* in, dim n, float* out) {
  const auto values = kernels::lattice_kernels().values;
  const int subs = int(kValues) / kernels::facts_of(Layout::kKind).sub;
  LatticeBlock block;
  for (; n > 0; n -= kValues, in += Layout::kBytes, out += kValues) {
    block.d = Layout::d(in);
    for (int s = 0; s < subs; ++s) block.scale[s] = std::uint8_t(Layout::scale(in, s));
    for (int g = 0; g < kGroups; ++g) block.group[g] = Layout::group(in, g);
    values(Layout::kKind, &block, out);
  }
}

template <class Layout>
void encode(const Format&, const float* x, const float* importance, dim n, const RangeSearch& search, std::byte* out) {
  const auto encode_block = kernels::lattice_kernels().encode;
  const kernels::SearchPlan plan = plan_of(search);
  const int subs = int(kValues) / kernels::facts_of(Layout::kKind).sub;
  LatticeBlock block;
  for (dim i = 0; i < n; i += kValues, out += Layout::kBytes) {
    encode_block(Layout::kKind, x + i, importance ? importance + i : nullptr, plan, &block);
    std::memset(out, 0, std::size_t(Layout::kBytes));
    Layout::set_d(out, block.d);
    for (int s = 0; s < subs; ++s) Layout::set_scale(out, s, block.scale[s]);
    for (int g = 0; g < kGroups; ++g) Layout::set_group(out, g, block.group[g]);
  }
}

template <class Layout>
float put(const Format&, std::byte* bytes, dim, dim j, float value) {
  const kernels::LatticeFacts& facts = kernels::facts_of(Layout::kKind);
  const float step = step_of(facts, f16_to_f32(Layout::d(bytes)), Layout::scale(bytes, int(j) / facts.sub));
  LatticeGroup group = Layout::group(bytes, int(j / 8));
  if (move_value(Layout::kKind, step, j % 8, value, group)) Layout::set_group(bytes, int(j / 8), group);
  return value_of(Layout::kKind, step, j % 8, group);
}

template <class Layout>
void put_group(const Format&, std::byte* bytes, dim, dim j, const float* values, const float* weights, float* decoded) {
  const kernels::LatticeFacts& facts = kernels::facts_of(Layout::kKind);
  const float step = step_of(facts, f16_to_f32(Layout::d(bytes)), Layout::scale(bytes, int(j) / facts.sub));
  LatticeGroup group = Layout::group(bytes, int(j / 8));
  nearest_group(Layout::kKind, step, values, weights, group);
  Layout::set_group(bytes, int(j / 8), group);
  for (dim i = 0; i < 8; ++i) decoded[i] = value_of(Layout::kKind, step, i, group);
}

// joint: coordinates of a point.
template <class Layout>
constexpr Format make(std::string_view name, std::string_view summary, int gguf_type, dim joint = 8) {
  // Fitting is encoding: scales are found together with the points.
  return Format{name,
                summary,
                kValues,
                Layout::kBytes,
                "iq4_nl",
                gguf_type,
                IntGroup{},
                bytes_of<Layout>,
                decode<Layout>,
                encode<Layout>,
                encode<Layout>,
                put<Layout>,
                joint,
                8,
                put_group<Layout>};
}

}  // namespace pith::lattice
