#include "formats/sparse_rows.h"

#include <bit>
#include <cstring>

#include "core/error.h"
#include "core/half.h"
#include "formats/bit_stream.h"
#include "formats/block_codec.h"
#include "formats/grid.h"

namespace pith {

namespace {

dim position_bytes(dim cols) { return (cols + 7) / 8; }
bool is_plain(const Format& f) { return &f == &f32_format() || &f == &f16_format() || &f == &bf16_format(); }
Grid symmetric_grid(const Format& f, dim cols) {
  const Grid grid = grid_of(f, cols);
  return grid.kind == GridKind::symmetric ? grid : Grid();
}

// A row as scales and codes; a code may be a whole float.
struct RowReader {
  RowReader(const Format& f, dim n)
      : format(f),
        grid(symmetric_grid(f, n)),
        cols(n),
        zero(grid.bits > 0 ? 1u << (grid.bits - 1) : 0),
        codes(static_cast<std::size_t>(n)),
        scales(static_cast<std::size_t>(grid.bits > 0 ? n / grid.group : 0)) {}

  void read(const std::byte* row) {
    if (grid.bits == 0) {
      for (dim c = 0; c < cols; ++c) {
        std::uint32_t code = 0;
        std::memcpy(&code, row + c * format.block_bytes, std::size_t(format.block_bytes));
        codes[std::size_t(c)] = code;
      }
      return;
    }
    for (dim g = 0; g < cols / grid.group; ++g) {
      small.resize(std::size_t(grid.group));
      scales[std::size_t(g)] = read_group(format, grid, row, g, small.data()).scale_bits;
      for (dim j = 0; j < grid.group; ++j) codes[std::size_t(g * grid.group + j)] = small[std::size_t(j)];
    }
  }

  void write(std::byte* row) {
    if (grid.bits == 0) {
      for (dim c = 0; c < cols; ++c)
        std::memcpy(row + c * format.block_bytes, &codes[std::size_t(c)], std::size_t(format.block_bytes));
      return;
    }
    for (dim g = 0; g < cols / grid.group; ++g) {
      small.resize(std::size_t(grid.group));
      for (dim j = 0; j < grid.group; ++j) small[std::size_t(j)] = std::uint8_t(codes[std::size_t(g * grid.group + j)]);
      write_group(format, grid, {scales[std::size_t(g)], 0, int(zero)}, small.data(), g, row);
    }
  }

  // Of the floats, -0 is one, too.
  bool is_zero(dim c) const {
    const std::uint32_t code = codes[std::size_t(c)];
    if (grid.bits > 0) return code == zero;
    return (code & ((std::uint32_t(1) << (8 * format.block_bytes - 1)) - 1)) == 0;
  }

  const Format& format;
  Grid grid;  // bits 0: floats
  dim cols;
  std::uint32_t zero;
  std::vector<std::uint32_t> codes;
  std::vector<std::uint16_t> scales;
  std::vector<std::uint8_t> small;
};

int value_bits(const Format& f, dim cols) { return is_plain(f) ? int(f.block_bytes * 8) : grid_of(f, cols).bits; }

void store_value(std::byte* values, dim i, int bits, std::uint32_t code) {
  if (bits <= 8) return set_code(values, i, bits, code);
  std::memcpy(values + i * bits / 8, &code, std::size_t(bits / 8));
}
Error too_many(dim kept, dim row) {
  return Error(Blame::input, "sparse storage",
               fmt::format("expected at most {} values that are not 0, got more by row {}", kept, row),
               "the format has no exact zero here, or the method moved zeros; store it dense");
}

SparseParts pack_bitmask(const SparseShape& shape, const Format& f, dim rows, dim cols, const std::byte* encoded) {
  RowReader row(f, cols);
  const dim bytes = row_bytes(f, cols), stride = position_bytes(cols), groups = dim(row.scales.size());
  const SparseSizes sizes = sparse_sizes(shape, f, rows, cols);
  SparseParts out{std::vector<std::byte>(std::size_t(sizes.positions)),
                  std::vector<std::byte>(std::size_t(sizes.scales)), std::vector<std::byte>(std::size_t(sizes.values))};
  dim spare = shape.kept;  // places for zeros
  for (dim r = 0; r < rows; ++r) {
    row.read(encoded + r * bytes);
    for (dim c = 0; c < cols; ++c) spare -= !row.is_zero(c);
    if (spare < 0) throw too_many(shape.kept, r);
  }
  const int bits = value_bits(f, cols);
  dim next = 0;
  for (dim r = 0; r < rows; ++r) {
    row.read(encoded + r * bytes);
    if (groups > 0) std::memcpy(out.scales.data() + r * groups * 2, row.scales.data(), std::size_t(groups * 2));
    for (dim c = 0; c < cols; ++c) {
      const bool zero = row.is_zero(c);
      if (zero && spare == 0) continue;
      spare -= zero;
      out.positions[std::size_t(r * stride + c / 8)] |= std::byte(1 << (c % 8));
      store_value(out.values.data(), next++, bits, row.codes[std::size_t(c)]);
    }
  }
  PITH_CHECK(next == shape.kept);
  return out;
}

// The first places of four columns that are not zero, filled up with others; ascending.
unsigned two_places(const RowReader& row, dim first, dim r) {
  unsigned kept = 0;
  for (unsigned i = 0; i < 4; ++i) kept |= unsigned(!row.is_zero(first + i)) << i;
  if (std::popcount(kept) > 2)
    throw Error(Blame::input, "2:4 sparsity",
                fmt::format("expected at most 2 of 4 neighbours that are not 0, got {} in row {} from column {}",
                            std::popcount(kept), r, first),
                "prune with pattern 2:4, or store it as a bitmask");
  for (unsigned i = 0; std::popcount(kept) < 2; ++i) kept |= 1u << i;
  return unsigned(std::countr_zero(kept)) | unsigned(std::countr_zero(kept & (kept - 1))) << 2;
}

SparseParts pack_two_of_four(const Format& f, dim rows, dim cols, const std::byte* encoded) {
  const Format& half = *half_row_format(f, cols);
  RowReader row(f, cols), kept(half, cols / 2);
  const dim bytes = row_bytes(f, cols), half_bytes = row_bytes(half, cols / 2), stride = position_bytes(cols);
  SparseParts out;
  out.positions.resize(std::size_t(rows * stride));
  out.values.resize(std::size_t(rows * half_bytes));
  for (dim r = 0; r < rows; ++r) {
    row.read(encoded + r * bytes);
    kept.scales = row.scales;
    for (dim g = 0; g < cols / 4; ++g) {
      const unsigned places = two_places(row, 4 * g, r);
      out.positions[std::size_t(r * stride + g / 2)] |= std::byte(places << (g % 2 * 4));
      kept.codes[std::size_t(2 * g)] = row.codes[std::size_t(4 * g + (places & 3))];
      kept.codes[std::size_t(2 * g + 1)] = row.codes[std::size_t(4 * g + (places >> 2))];
    }
    kept.write(out.values.data() + r * half_bytes);
  }
  return out;
}

void count_rows(Sparse& s, std::string_view where) {
  const dim stride = position_bytes(s.cols);
  s.owned = Buffer((s.rows + 1) * dim(sizeof(std::int64_t)));
  auto* starts = s.owned.as<std::int64_t>();
  starts[0] = 0;
  for (dim r = 0; r < s.rows; ++r) {
    const std::byte* mask = s.positions + r * stride;
    dim kept = 0, c = 0;
    for (; c + 8 <= stride; c += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, mask + c, sizeof word);
      kept += std::popcount(word);
    }
    for (; c < stride; ++c) kept += std::popcount(std::to_integer<unsigned>(mask[c]));
    starts[r + 1] = starts[r] + kept;
    const unsigned beyond = s.cols % 8 ? std::to_integer<unsigned>(mask[stride - 1]) >> (s.cols % 8) : 0;
    if (beyond) throw input_error(where, "expected no bits beyond column {}, got some in row {}", s.cols, r);
  }
  if (starts[s.rows] != s.values.cols)
    throw input_error(where, "expected {} bits that are set, got {}", s.values.cols, starts[s.rows]);
  s.row_starts = starts;
}

}  // namespace

const Format* half_row_format(const Format& f, dim cols) {
  if (is_plain(f)) return cols % 4 == 0 ? &f : nullptr;
  const Grid grid = symmetric_grid(f, cols);
  if (grid.bits == 0 || cols % 4 != 0 || f.int_group.bits == 0) return nullptr;
  if (f.block == 0) return &f;
  for (const Format* half : all_formats()) {
    const IntGroup& g = half->int_group;
    if (g.bits == grid.bits && g.symmetric && !g.minimum && half->block * 2 == f.block) return half;
  }
  return nullptr;
}

std::string sparse_misfit(SparseLayout layout, const Format& f, dim cols) {
  if (layout == SparseLayout::listed) return "a layout as bitmask or two_of_four";
  if (layout == SparseLayout::two_of_four)
    return half_row_format(f, cols) ? ""
                                    : "f32, f16, bf16 or an int format with _sym, of rows or groups of at least 64, "
                                      "with columns in multiples of 4";
  return is_plain(f) || symmetric_grid(f, cols).bits > 0 ? "" : "f32, f16, bf16 or a format on a symmetric grid";
}

SparseSizes sparse_sizes(const SparseShape& shape, const Format& f, dim rows, dim cols) {
  SparseSizes sizes;
  sizes.positions = rows * position_bytes(cols);
  if (shape.layout == SparseLayout::two_of_four) {
    sizes.values = rows * row_bytes(*half_row_format(f, cols), cols / 2);
    return sizes;
  }
  sizes.values = (shape.kept * value_bits(f, cols) + 7) / 8;
  if (!is_plain(f)) sizes.scales = rows * (cols / grid_of(f, cols).group) * 2;
  return sizes;
}

SparseParts pack_sparse(const SparseShape& shape, const Format& f, dim rows, dim cols, const std::byte* encoded) {
  PITH_CHECK(sparse_misfit(shape.layout, f, cols).empty());
  if (shape.layout == SparseLayout::two_of_four) return pack_two_of_four(f, rows, cols, encoded);
  return pack_bitmask(shape, f, rows, cols, encoded);
}

Sparse sparse_view(const SparseShape& shape, const Format& f, dim rows, dim cols, const std::byte* positions,
                   const std::byte* scales, const std::byte* values, std::string_view where) {
  Sparse s;
  s.layout = shape.layout;
  s.rows = rows;
  s.cols = cols;
  s.positions = positions;
  s.values.data = values;
  if (shape.layout == SparseLayout::two_of_four) {
    s.values.format = half_row_format(f, cols);
    s.values.rows = rows;
    s.values.cols = cols / 2;
    check_sparse(s, where);
    return s;
  }
  s.values.format = &f;
  s.values.rows = 1;
  s.values.cols = shape.kept;
  if (!is_plain(f)) s.scales = scales;
  count_rows(s, where);
  return s;
}

void sparse_row_codes(const Sparse& s, dim row, std::uint16_t* scales, std::uint8_t* codes) {
  const bool half = s.layout == SparseLayout::two_of_four;
  const dim stored = half ? s.values.cols : s.cols;
  const Grid grid = grid_of(*s.values.format, stored);
  const dim groups = stored / grid.group;
  const std::byte* mask = s.positions + row * position_bytes(s.cols);
  std::fill_n(codes, s.cols, std::uint8_t(1 << (grid.bits - 1)));
  if (!half) {
    if (groups > 0) std::memcpy(scales, s.scales + row * groups * 2, std::size_t(groups * 2));
    dim next = s.row_starts[row];
    for (dim b = 0; b < position_bytes(s.cols); ++b)
      for (auto bits = std::to_integer<unsigned>(mask[b]); bits != 0; bits &= bits - 1)
        codes[8 * b + std::countr_zero(bits)] = std::uint8_t(get_code(s.values.data, next++, grid.bits));
    return;
  }
  const std::byte* encoded = s.values.data + row * row_bytes(*s.values.format, stored);
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(stored));
  for (dim g = 0; g < groups; ++g)
    scales[g] = read_group(*s.values.format, grid, encoded, g, kept.data() + g * grid.group).scale_bits;
  for (dim g = 0; g < s.cols / 4; ++g) {
    const unsigned places = std::to_integer<unsigned>(mask[g / 2]) >> (g % 2 * 4);
    codes[4 * g + (places & 3)] = kept[std::size_t(2 * g)];
    codes[4 * g + (places >> 2 & 3)] = kept[std::size_t(2 * g + 1)];
  }
}

void encode_sparse_row(const Sparse& s, const Format& f, dim row, std::byte* out) {
  RowReader whole(f, s.cols);
  if (whole.grid.bits > 0) {
    std::vector<std::uint8_t> codes(whole.codes.size());
    sparse_row_codes(s, row, whole.scales.data(), codes.data());
    std::copy(codes.begin(), codes.end(), whole.codes.begin());
    return whole.write(out);
  }
  std::memset(out, 0, std::size_t(row_bytes(f, s.cols)));
  std::vector<float> values(whole.codes.size());  // which the format holds exactly
  decode_sparse_row(s, row, values.data());
  f.encode(f, values.data(), nullptr, s.cols, {}, out);
}

void decode_sparse_codes(const Sparse& s, dim row, float* out) {
  const Grid grid = grid_of(*s.values.format, s.cols);
  const std::byte* mask = s.positions + row * position_bytes(s.cols);
  const std::byte* scales = s.scales + row * (s.cols / grid.group) * 2;
  const int zero = 1 << (grid.bits - 1);
  dim next = s.row_starts[row];
  for (dim c = 0; c < s.cols; ++c) {
    if (!kept_at(mask, c)) {
      out[c] = 0;
      continue;
    }
    const float scale = f16_to_f32(load_u16(scales + c / grid.group * 2));
    out[c] = float(int(get_code(s.values.data, next++, grid.bits)) - zero) * scale;
  }
}

}  // namespace pith
