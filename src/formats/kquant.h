// What the six super-block formats share. A layout gives
//   kKind, kBytes, kSub (values per sub-block), kTop (largest stored code);
//   read_scales / write_scales: everything of a KBlock but its codes;
//   code(block, j), set_code(block, j, code) for one value, read_codes / write_codes for all 256.
#pragma once
#include <cstring>

#include "core/half.h"
#include "formats/code_units.h"
#include "kernels/kquant.h"

namespace pith::kquant {

using kernels::KBlock;
using kernels::KKind;
using kernels::kSuperBlock;

inline std::uint8_t byte_at(const std::byte* p, dim i) { return std::to_integer<std::uint8_t>(p[i]); }
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

// 8 scales and 8 minimums of 6 bits in 12 bytes (q4_k, q5_k).
void read_scale_pairs(const std::byte* packed, KBlock& block);
void write_scale_pairs(const KBlock& block, std::byte* packed);

kernels::SearchPlan plan_of(const RangeSearch& search);

// What code c of sub-block s stands for.
float value_of(KKind kind, const KBlock& block, dim s, int code);
// The code in [0, top] of sub-block s nearest to the value.
int nearest_code(KKind kind, const KBlock& block, dim s, int top, float value);

template <class Layout>
dim bytes_of(const Format&, dim n) {
  return n / kSuperBlock * Layout::kBytes;
}

template <class Layout>
void decode(const Format&, const std::byte* in, dim n, float* out) {
  const auto values = kernels::kquant_kernels().values;
  KBlock block;
  for (; n > 0; n -= kSuperBlock, in += Layout::kBytes, out += kSuperBlock) {
    Layout::read_scales(in, block);
    Layout::read_codes(in, block.code);
    values(Layout::kKind, &block, out);
  }
}

template <class Layout>
void encode(const Format&, const float* x, const float* importance, dim n, const RangeSearch& search, std::byte* out) {
  const auto encode_block = kernels::kquant_kernels().encode;
  const kernels::SearchPlan plan = plan_of(search);
  KBlock block;
  for (dim i = 0; i < n; i += kSuperBlock, out += Layout::kBytes) {
    encode_block(Layout::kKind, x + i, importance ? importance + i : nullptr, plan, &block);
    Layout::write_scales(block, out);
    Layout::write_codes(block.code, out);
  }
}

template <class Layout>
float put(const Format&, std::byte* bytes, dim, dim j, float value) {
  KBlock block;
  Layout::read_scales(bytes, block);
  const dim s = j / Layout::kSub;
  const int present = Layout::code(bytes, j);
  // Where several codes stand for one value, the one that is there stays.
  const float there = value_of(Layout::kKind, block, s, present);
  if (there == value) return there;
  const int code = nearest_code(Layout::kKind, block, s, Layout::kTop, value);
  Layout::set_code(bytes, j, code);
  return value_of(Layout::kKind, block, s, code);
}

template <class Layout>
void read_code_unit(const std::byte* in, std::uint8_t* codes, PanelUnit& unit) {
  KBlock block;
  Layout::read_scales(in, block);
  Layout::read_codes(in, codes);
  unit.scale = block.d;
  unit.minimum = block.dmin;
  std::memcpy(unit.factor, block.scale, sizeof block.scale);
  std::memcpy(unit.sub_minimum, block.min, sizeof block.min);
}

constexpr PanelShape shape_of(KKind kind, int sub) {
  PanelShape s;
  s.unit = kSuperBlock;
  s.sub = sub;
  s.bits = kind == KKind::iq4 ? 4 : 2 + int(kind);
  s.zero = kind == KKind::q3 ? 4 : kind == KKind::q6 ? 32 : kind == KKind::iq4 ? 128 : 0;
  if (kind == KKind::q2 || kind == KKind::q4 || kind == KKind::q5) s.minimum = PanelShape::Minimum::scaled;
  if (kind == KKind::iq4) s.levels = kernels::kIq4Codes;
  return s;
}

template <class Layout>
inline constexpr CodeUnits kUnits = {shape_of(Layout::kKind, int(Layout::kSub)), read_code_unit<Layout>};

template <class Layout>
constexpr Format make(std::string_view name, std::string_view summary, std::string_view fallback, int gguf_type) {
  // Fitting is encoding: the scales of a super-block are found together with its codes.
  Format f{name,       summary,          kSuperBlock,    Layout::kBytes, fallback,       gguf_type,
           IntGroup{}, bytes_of<Layout>, decode<Layout>, encode<Layout>, encode<Layout>, put<Layout>};
  f.units = &kUnits<Layout>;
  return f;
}

}  // namespace pith::kquant
