// Encoded rows with their zeros left out, and back: exactly, whatever chose the values. The layouts are those of
// formats/sparse.h; formats are f32, f16, bf16, and those on a symmetric grid (formats/grid.h), whose zero is a code.
#pragma once
#include "formats/sparse.h"

namespace pith {

// Empty where rows of `cols` values in this format can be stored so, else what is expected.
std::string sparse_misfit(SparseLayout layout, const Format& format, dim cols);
// What the kept half of each row is stored as: the format, or that of groups half as long. Null: there is none.
const Format* half_row_format(const Format& format, dim cols);

// Without row starts, which are counted when a file is opened. No misfit.
SparseSizes sparse_sizes(const SparseShape& shape, const Format& format, dim rows, dim cols);

struct SparseParts {
  std::vector<std::byte> positions, scales, values;
};
// encoded: rows * row_bytes(format, cols) bytes. shape.kept: as many values are stored; where fewer are not zero, the
// first zeros beside them. Error(input) where more are not zero.
SparseParts pack_sparse(const SparseShape& shape, const Format& format, dim rows, dim cols, const std::byte* encoded);

// A view of such parts, which are as large as sparse_sizes says. Error(input) naming `where` unless they agree.
Sparse sparse_view(const SparseShape& shape, const Format& format, dim rows, dim cols, const std::byte* positions,
                   const std::byte* scales, const std::byte* values, std::string_view where);

// Row `row` as `format` encodes it.
void encode_sparse_row(const Sparse& sparse, const Format& format, dim row, std::byte* out);
// Of values on a grid: all codes of a row (cols), and each group's scale (float16).
void sparse_row_codes(const Sparse& sparse, dim row, std::uint16_t* scales, std::uint8_t* codes);
void decode_sparse_codes(const Sparse& sparse, dim row, float* out);  // of a bitmask with scales

inline bool kept_at(const std::byte* mask, dim c) { return std::to_integer<unsigned>(mask[c / 8]) >> (c % 8) & 1; }

}  // namespace pith
