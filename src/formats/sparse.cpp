#include "formats/sparse.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/error.h"
#include "formats/block_codec.h"
#include "formats/sparse_rows.h"

namespace pith {

namespace {

dim position_bytes(dim cols) { return (cols + 7) / 8; }

dim encoded_bytes(const Encoded& e) { return e.rows * row_bytes(*e.format, e.cols); }

Sparse sparse_of(SparseLayout layout, dim rows, dim cols, const Format& values) {
  Sparse s;
  s.layout = layout;
  s.rows = rows;
  s.cols = cols;
  s.values.format = &values;
  return s;
}

void encode_row(Encoded& e, dim row, const float* x) {
  e.format->encode(*e.format, x, nullptr, e.cols, {}, e.owned.data() + row * row_bytes(*e.format, e.cols));
}

// The kept values were decoded to the end of `out`, which they fill from the front: a place is never written before
// the value there was read, since no more values are left than places.
void spread_bitmask(const Sparse& s, dim row, float* out) {
  if (s.scales) return decode_sparse_codes(s, row, out);
  const dim first = s.row_starts[row], kept = s.row_starts[row + 1] - first;
  const Format& f = *s.values.format;
  if (kept > 0) f.decode(f, s.values.data + first * f.block_bytes, kept, out + s.cols - kept);
  const std::byte* mask = s.positions + row * position_bytes(s.cols);
  dim next = s.cols - kept;
  for (dim c = 0; c < s.cols; ++c) {
    const bool is_kept = std::to_integer<unsigned>(mask[c / 8]) >> (c % 8) & 1;
    out[c] = is_kept ? out[next++] : 0.0f;
  }
}

void spread_two_of_four(const Sparse& s, dim row, float* out) {
  const dim half = s.cols / 2;
  const Format& f = *s.values.format;
  f.decode(f, s.values.data + row * row_bytes(f, half), half, out + half);
  const std::byte* positions = s.positions + row * position_bytes(s.cols);
  for (dim g = 0; g < s.cols / 4; ++g) {
    const unsigned places = std::to_integer<unsigned>(positions[g / 2]) >> (g % 2 * 4);
    const float a = out[half + 2 * g], b = out[half + 2 * g + 1];
    float four[4] = {};
    four[places & 3] = a;
    four[places >> 2 & 3] = b;
    std::memcpy(out + 4 * g, four, sizeof four);
  }
}

const std::byte* columns_of(const Sparse& s, dim row) {
  return s.positions + (s.shared ? 0 : row * s.values.cols * index_bytes(s.cols));
}

void decode_part(const Encoded& e, dim row, float* out) {
  e.format->decode(*e.format, e.data + row * row_bytes(*e.format, e.cols), e.cols, out);
}
void decode_part(const Sparse& s, dim row, float* out) {
  if (s.layout == SparseLayout::bitmask) return spread_bitmask(s, row, out);
  if (s.layout == SparseLayout::two_of_four) return spread_two_of_four(s, row, out);
  std::fill_n(out, s.cols, 0.0f);
  add_row(s, row, out);
}

void decode_sum(const Sum& sum, dim row, dim cols, float* out, float* scratch) {
  const auto decode = [&](const auto& part, float* to) {
    std::visit([&](const auto& p) { decode_part(p, row, to); }, part);
  };
  decode(sum.parts.front(), out);
  for (std::size_t i = 1; i < sum.parts.size(); ++i) {
    const auto* sparse = std::get_if<Sparse>(&sum.parts[i]);
    if (sparse && sparse->layout == SparseLayout::listed) {
      add_row(*sparse, row, out);
      continue;
    }
    PITH_CHECK(scratch);
    decode(sum.parts[i], scratch);
    for (dim c = 0; c < cols; ++c) out[c] += scratch[c];
  }
}

dim bytes_of(const Encoded& e) { return encoded_bytes(e); }
dim bytes_of(const Sparse& s) { return sparse_sizes(s).total(); }

// Any part knows the shape.
template <class Read>
dim from_shape(const Weight& weight, Read read) {
  if (const auto* sum = std::get_if<Sum>(&weight)) {
    PITH_CHECK(!sum->parts.empty());
    return std::visit(read, sum->parts.front());
  }
  if (const auto* encoded = std::get_if<Encoded>(&weight)) return read(*encoded);
  return read(std::get<Sparse>(weight));
}

// The places of the values to keep in four columns: those that are not 0, then the first others; ascending.
unsigned two_places(const float* x, dim row, dim column) {
  unsigned kept = 0;
  for (unsigned i = 0; i < 4; ++i) kept |= unsigned(x[i] != 0) << i;
  if (std::popcount(kept) > 2)
    throw input_error("2:4 sparsity",
                      "expected at most 2 of 4 neighbours that are not 0, got {} in row {} from column {}",
                      std::popcount(kept), row, column);
  for (unsigned i = 0; std::popcount(kept) < 2; ++i) kept |= 1u << i;
  const auto first = unsigned(std::countr_zero(kept));
  const auto second = unsigned(std::countr_zero(kept & (kept - 1)));
  return first | second << 2;
}

void check_bitmask(const Sparse& s, std::string_view where) {
  if (s.row_starts[0] != 0 || s.values.rows != 1)
    throw input_error(where, "expected one row of values and row starts from 0, got {} rows from {}", s.values.rows,
                      s.row_starts[0]);
  const dim stride = position_bytes(s.cols);
  for (dim r = 0; r < s.rows; ++r) {
    const std::byte* mask = s.positions + r * stride;
    dim kept = 0;
    for (dim i = 0; i < stride; ++i) kept += std::popcount(std::to_integer<unsigned>(mask[i]));
    const unsigned beyond = s.cols % 8 ? std::to_integer<unsigned>(mask[stride - 1]) >> (s.cols % 8) : 0;
    const dim end = s.row_starts[r] + kept;
    if (beyond || s.row_starts[r + 1] != end)
      throw input_error(where, "expected row {} to end at value {} by its bits, got {}{}", r, end, s.row_starts[r + 1],
                        beyond ? ", with bits beyond the last column" : "");
  }
  if (s.row_starts[s.rows] != s.values.cols)
    throw input_error(where, "expected {} values, got {}", s.row_starts[s.rows], s.values.cols);
}

void check_two_of_four(const Sparse& s, std::string_view where) {
  if (s.cols % 4 != 0 || s.values.rows != s.rows || s.values.cols != s.cols / 2)
    throw input_error(where, "expected half of the values of ({}, {}), got ({}, {})", s.rows, s.cols, s.values.rows,
                      s.values.cols);
  for (dim r = 0; r < s.rows; ++r)
    for (dim g = 0; g < s.cols / 4; ++g) {
      const auto byte = std::to_integer<unsigned>(s.positions[r * position_bytes(s.cols) + g / 2]);
      const unsigned first = byte >> (g % 2 * 4) & 3, second = byte >> (g % 2 * 4 + 2) & 3;
      if (first >= second)
        throw input_error(where, "expected ascending places in row {} at column {}, got {} and {}", r, 4 * g, first,
                          second);
    }
}

void check_listed(const Sparse& s, std::string_view where) {
  const dim kept = s.values.cols;
  if (s.values.format != &f16_format() || s.values.rows != s.rows || kept < 1 || kept > s.cols)
    throw input_error(where, "expected 1 to {} values in f16 for each of {} rows, got ({}, {})", s.cols, s.rows,
                      s.values.rows, kept);
  for (dim r = 0; r < (s.shared ? 1 : s.rows); ++r) {
    dim before = -1;
    for (dim i = 0; i < kept; ++i) {
      const dim column = column_at(columns_of(s, r), s.cols, i);
      if (column <= before || column >= s.cols)
        throw input_error(where, "expected ascending columns below {} in row {}, got {} after {}", s.cols, r, column,
                          before);
      before = column;
    }
  }
}

}  // namespace

dim index_bytes(dim cols) { return cols <= 32768 ? 2 : 4; }

dim outlier_index_bytes(const OutlierShape& shape, dim rows, dim cols) {
  return shape.per_row * (shape.whole_columns ? 1 : rows) * index_bytes(cols);
}

dim column_at(const std::byte* indices, dim cols, dim i) {
  if (index_bytes(cols) == 2) {
    std::int16_t column;
    std::memcpy(&column, indices + 2 * i, sizeof column);
    return column;
  }
  std::int32_t column;
  std::memcpy(&column, indices + 4 * i, sizeof column);
  return column;
}

void store_columns(std::span<const std::int32_t> columns, dim cols, std::byte* out) {
  for (const std::int32_t column : columns) {
    const auto narrow = std::int16_t(column);
    if (index_bytes(cols) == 2)
      std::memcpy(out, &narrow, sizeof narrow);
    else
      std::memcpy(out, &column, sizeof column);
    out += index_bytes(cols);
  }
}

Sparse listed_view(const OutlierShape& shape, dim rows, dim cols, const std::byte* indices, const std::byte* values) {
  Sparse s = sparse_of(SparseLayout::listed, rows, cols, f16_format());
  s.shared = shape.whole_columns;
  s.positions = indices;
  s.values.rows = rows;
  s.values.cols = shape.per_row;
  s.values.data = values;
  return s;
}

void add_row(const Sparse& s, dim row, float* out) {
  PITH_CHECK(s.layout == SparseLayout::listed);
  const dim kept = s.values.cols;
  const std::byte* columns = columns_of(s, row);
  const std::byte* values = s.values.data + row * kept * 2;
  for (dim i = 0; i < kept; ++i) out[column_at(columns, s.cols, i)] += load_f16(values + 2 * i);
}

Sparse make_bitmask(const float* dense, dim rows, dim cols, const Format& values) {
  if (values.block != 1) throw input_error("sparse values", "expected f32, f16 or bf16, got {}", values.name);
  Sparse s = sparse_of(SparseLayout::bitmask, rows, cols, values);
  const dim stride = position_bytes(cols), starts_bytes = (rows + 1) * dim(sizeof(std::int64_t));
  s.owned = Buffer(starts_bytes + rows * stride);
  auto* starts = s.owned.as<std::int64_t>();
  std::byte* positions = s.owned.data() + starts_bytes;
  for (dim r = 0; r < rows; ++r) {
    dim kept = 0;
    for (dim c = 0; c < cols; ++c) {
      if (dense[r * cols + c] == 0) continue;
      positions[r * stride + c / 8] |= std::byte(1 << (c % 8));
      ++kept;
    }
    starts[r + 1] = starts[r] + kept;
  }
  s.positions = positions;
  s.row_starts = starts;
  s.values.rows = 1;
  s.values.cols = starts[rows];
  s.values.owned = Buffer(encoded_bytes(s.values));
  dim at = 0;
  for (dim i = 0; i < rows * cols; ++i)
    if (dense[i] != 0)
      values.encode(values, dense + i, nullptr, 1, {}, s.values.owned.data() + at++ * values.block_bytes);
  s.values.data = s.values.owned.data();
  return s;
}

Sparse make_two_of_four(const float* dense, dim rows, dim cols, const Format& values) {
  if (cols % 4 != 0 || !fits(values, cols / 2))
    throw input_error("2:4 sparsity", "expected columns that are a multiple of 4 and half as many that fit {}, got {}",
                      values.name, cols);
  Sparse s = sparse_of(SparseLayout::two_of_four, rows, cols, values);
  s.values.rows = rows;
  s.values.cols = cols / 2;
  s.owned = Buffer(rows * position_bytes(cols));
  s.values.owned = Buffer(encoded_bytes(s.values));
  std::vector<float> kept(static_cast<std::size_t>(cols / 2));
  for (dim r = 0; r < rows; ++r) {
    std::byte* positions = s.owned.data() + r * position_bytes(cols);
    for (dim g = 0; g < cols / 4; ++g) {
      const float* x = dense + r * cols + 4 * g;
      const unsigned places = two_places(x, r, 4 * g);
      positions[g / 2] |= std::byte(places << (g % 2 * 4));
      kept[std::size_t(2 * g)] = x[places & 3];
      kept[std::size_t(2 * g + 1)] = x[places >> 2];
    }
    encode_row(s.values, r, kept.data());
  }
  s.positions = s.owned.data();
  s.values.data = s.values.owned.data();
  return s;
}

Sparse view_of(const Sparse& s) {
  Sparse out;
  out.layout = s.layout;
  out.rows = s.rows;
  out.cols = s.cols;
  out.shared = s.shared;
  out.positions = s.positions;
  out.row_starts = s.row_starts;
  out.scales = s.scales;
  out.values.format = s.values.format;
  out.values.rows = s.values.rows;
  out.values.cols = s.values.cols;
  out.values.data = s.values.data;
  return out;
}

void check_sparse(const Sparse& sparse, std::string_view where) {
  if (sparse.layout == SparseLayout::bitmask) return check_bitmask(sparse, where);
  if (sparse.layout == SparseLayout::two_of_four) return check_two_of_four(sparse, where);
  check_listed(sparse, where);
}

SparseSizes sparse_sizes(const Sparse& s) {
  if (s.layout == SparseLayout::listed)
    return {outlier_index_bytes({s.values.cols, s.shared}, s.rows, s.cols), 0, encoded_bytes(s.values)};
  const dim starts = s.layout == SparseLayout::bitmask ? (s.rows + 1) * dim(sizeof(std::int64_t)) : 0;
  if (!s.scales) return {s.rows * position_bytes(s.cols), starts, encoded_bytes(s.values)};
  const SparseSizes planned = sparse_sizes({s.layout, s.values.cols}, *s.values.format, s.rows, s.cols);
  return {planned.positions, starts, planned.values, planned.scales};
}

dim weight_rows(const Weight& weight) {
  return from_shape(weight, [](const auto& part) { return part.rows; });
}
dim weight_cols(const Weight& weight) {
  return from_shape(weight, [](const auto& part) { return part.cols; });
}

dim weight_bytes(const Weight& weight) {
  if (const auto* encoded = std::get_if<Encoded>(&weight)) return bytes_of(*encoded);
  if (const auto* sparse = std::get_if<Sparse>(&weight)) return bytes_of(*sparse);
  dim total = 0;
  for (const auto& part : std::get<Sum>(weight).parts)
    total += std::visit([](const auto& p) { return bytes_of(p); }, part);
  return total;
}

void decode_sparse_row(const Sparse& sparse, dim row, float* out) { decode_part(sparse, row, out); }

void decode_weight_row(const Weight& weight, dim row, float* out, float* scratch) {
  if (const auto* encoded = std::get_if<Encoded>(&weight))
    decode_part(*encoded, row, out);
  else if (const auto* sparse = std::get_if<Sparse>(&weight))
    decode_part(*sparse, row, out);
  else
    decode_sum(std::get<Sum>(weight), row, weight_cols(weight), out, scratch);
}

}  // namespace pith
