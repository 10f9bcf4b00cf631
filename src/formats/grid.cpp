#include "formats/grid.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/half.h"
#include "formats/bit_stream.h"
#include "formats/block_codec.h"

namespace pith {

namespace {

// GGUF's blocks of 32: a scale, perhaps a minimum, perhaps fifth bits, then nibbles or bytes.
struct Block32 {
  std::string_view name;
  GridKind kind;
  int bits;
};
constexpr Block32 kBlocks[] = {
    {"q4_0", GridKind::symmetric, 4}, {"q5_0", GridKind::symmetric, 5}, {"q8_0", GridKind::symmetric, 8},
    {"q4_1", GridKind::minimum, 4},   {"q5_1", GridKind::minimum, 5},
};

int half_of(int bits) { return 1 << (bits - 1); }

dim head_bytes_of(GridKind kind) {
  if (kind == GridKind::minimum) return 4;
  return kind == GridKind::zero_point ? 3 : 2;
}

void read_block32(const std::byte* codes_at, int bits, std::uint8_t* codes) {
  if (bits == 8) {
    for (dim j = 0; j < 32; ++j) codes[j] = std::uint8_t(std::uint8_t(codes_at[j]) ^ 0x80u);
    return;
  }
  const std::byte* nibbles = codes_at + (bits == 5 ? 4 : 0);
  read_nibbles(nibbles, codes);
  if (bits == 5)
    for (dim j = 0; j < 32; ++j) codes[j] |= std::uint8_t((std::uint8_t(codes_at[j >> 3]) >> (j & 7) & 1) << 4);
}

void read_codes(const std::byte* stream, int bits, dim n, std::uint8_t* codes) {
  if (bits == 8) {
    std::memcpy(codes, stream, std::size_t(n));
    return;
  }
  dim j = 0;
  if (bits == 4)
    for (; j + 8 <= n; j += 8) unpack8<4>(stream + j / 2, codes + j);
  for (; j < n; ++j) codes[j] = std::uint8_t(get_code(stream, j, bits));
}

void write_block32(const std::uint8_t* codes, int bits, std::byte* codes_at) {
  if (bits == 8) {
    for (dim j = 0; j < 32; ++j) codes_at[j] = std::byte(codes[j] ^ 0x80u);
    return;
  }
  if (bits == 5) pack_fifth_bits(codes, codes_at);
  pack_nibbles(codes, codes_at + (bits == 5 ? 4 : 0));
}

bool is_block32(const Format& f) { return f.int_group.bits == 0; }

dim group_at(const Format& f, dim g) { return f.block == 0 ? 0 : g * f.block_bytes; }

}  // namespace

Grid grid_of(const Format& f, dim cols) {
  if (!fits(f, cols) || cols == 0) return {};
  if (f.int_group.bits > 0) {
    const GridKind kind = f.int_group.minimum     ? GridKind::minimum
                          : f.int_group.symmetric ? GridKind::symmetric
                                                  : GridKind::zero_point;
    return {kind, f.int_group.bits, f.block == 0 ? cols : f.block};
  }
  for (const Block32& b : kBlocks)
    if (b.name == f.name) return {b.kind, b.bits, 32};
  return {};
}

GridGroup read_group(const Format& f, const Grid& grid, const std::byte* row, dim g, std::uint8_t* codes) {
  const std::byte* block = row + group_at(f, g);
  const std::byte* codes_at = block + head_bytes_of(grid.kind);
  if (is_block32(f))
    read_block32(codes_at, grid.bits, codes);
  else
    read_codes(codes_at, grid.bits, grid.group, codes);
  GridGroup group{load_u16(block), 0, 0};
  if (grid.kind == GridKind::minimum) group.min_bits = load_u16(block + 2);
  if (grid.kind == GridKind::symmetric) group.zero = half_of(grid.bits);
  if (grid.kind == GridKind::zero_point) group.zero = int(block[2]);
  return group;
}

void write_group(const Format& f, const Grid& grid, const GridGroup& group, const std::uint8_t* codes, dim g,
                 std::byte* row) {
  std::byte* block = row + group_at(f, g);
  std::byte* codes_at = block + head_bytes_of(grid.kind);
  store_u16(block, group.scale_bits);
  if (grid.kind == GridKind::minimum) store_u16(block + 2, group.min_bits);
  if (grid.kind == GridKind::zero_point) {
    PITH_CHECK(group.zero >= 0 && group.zero <= 255);
    block[2] = std::byte(group.zero);
  }
  if (is_block32(f)) return write_block32(codes, grid.bits, codes_at);
  std::memset(codes_at, 0, std::size_t(code_bytes(grid.group, grid.bits)));
  for (dim j = 0; j < grid.group; ++j) set_code(codes_at, j, grid.bits, codes[j]);
}

bool moves_exactly(const Format& from, const Format& to, dim cols) {
  if (&from == &to) return true;
  const Grid a = grid_of(from, cols), b = grid_of(to, cols);
  if (a.kind == GridKind::none || b.kind == GridKind::none || a.group % b.group != 0) return false;
  if (a.kind == GridKind::minimum) return b.kind == GridKind::minimum && b.bits >= a.bits;
  // One bit more holds every code - zero as a signed number.
  if (a.kind == GridKind::zero_point && b.kind != GridKind::zero_point) return b.bits > a.bits;
  return b.bits >= a.bits;
}

namespace {

// The same group on the target's grid: what is added to the codes, and the new head.
struct Moved {
  GridGroup group;
  int shift = 0;
};

Moved moved(const Grid& a, const Grid& b, const GridGroup& from) {
  Moved out{from, 0};
  if (a.kind == GridKind::minimum || b.kind == GridKind::zero_point) return out;
  const int zero = a.kind == GridKind::symmetric && b.kind == GridKind::minimum ? from.zero : half_of(b.bits);
  out.shift = zero - from.zero;
  if (b.kind == GridKind::minimum)
    out.group.min_bits = f32_to_f16(float(-zero) * f16_to_f32(from.scale_bits));  // a power of two: exact, or infinite
  return out;
}

}  // namespace

void move_row(const Format& from, const Format& to, const std::byte* in, dim cols, std::byte* out,
              std::string_view where) {
  if (&from == &to) {
    std::memcpy(out, in, std::size_t(row_bytes(from, cols)));
    return;
  }
  PITH_CHECK(moves_exactly(from, to, cols));
  const Grid a = grid_of(from, cols), b = grid_of(to, cols);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(a.group));
  const int top = (1 << b.bits) - 1;
  for (dim g = 0; g < cols / a.group; ++g) {
    const Moved m = moved(a, b, read_group(from, a, in, g, codes.data()));
    if (b.kind == GridKind::minimum && !std::isfinite(f16_to_f32(m.group.min_bits)))
      throw input_error(where, "expected scales below 65504 / {}, so that {} can hold the minimum, got {}",
                        half_of(b.bits), to.name, f16_to_f32(m.group.scale_bits));
    for (std::uint8_t& code : codes) {
      const int shifted = int(code) + m.shift;
      if (shifted < 0 || shifted > top)
        throw input_error(where, "expected zero points from 0 to 2^{}, got {}", a.bits, m.group.zero);
      code = std::uint8_t(shifted);
    }
    for (dim part = 0; part < a.group / b.group; ++part)
      write_group(to, b, m.group, codes.data() + part * b.group, g * (a.group / b.group) + part, out);
  }
}

}  // namespace pith
