// Sparse matrices in three layouts, and the rows of any weight.
//   bitmask      positions: per row ceil(cols / 8) bytes, bit c % 8 of byte c / 8 set where column c is kept.
//                values: those of all rows one after another in f32, f16 or bf16; or, of a format on a symmetric grid
//                (formats/grid.h), their codes as one stream of bits, and each group's scale apart.
//   two_of_four  two of each four neighbouring columns are kept (cols is a multiple of 4).
//                positions: per four columns 4 bits, the first kept place in the lower two and the second above it;
//                the even four in the low half of its byte, per row ceil(cols / 8) bytes.
//                values: a matrix (rows, cols / 2) in any format.
//   listed       each row keeps equally many values. positions: their columns, ascending, as i16 (i32 beyond 32768
//                columns): (rows, kept), or (1, kept) where all rows keep the same columns. values: f16 (rows, kept).
#pragma once
#include <span>

#include "core/weight.h"
#include "formats/format.h"

namespace pith {

// From a dense matrix (rows, cols): its zeros are dropped. Throw Error(input) where the format or shape does not suit.
Sparse make_bitmask(const float* dense, dim rows, dim cols, const Format& values);
// Also where four neighbours have more than two values that are not 0. Of fewer, zeros are kept.
Sparse make_two_of_four(const float* dense, dim rows, dim cols, const Format& values);

// How a matrix is stored whose zeros are left out (formats/sparse_rows.h).
struct SparseShape {
  SparseLayout layout = SparseLayout::bitmask;
  dim kept = 0;  // values that are stored
  bool operator==(const SparseShape&) const = default;
};

// How many values of each row of a matrix are kept apart from its codes; whole_columns: the same columns in all rows.
struct OutlierShape {
  dim per_row = 0;
  bool whole_columns = false;
  bool operator==(const OutlierShape&) const = default;
};
dim index_bytes(dim cols);                                         // of one column's number: 2 or 4
dim outlier_index_bytes(const OutlierShape&, dim rows, dim cols);  // of all columns' numbers
inline dim outlier_value_bytes(const OutlierShape& s, dim rows) { return s.per_row * rows * 2; }
// For tables of columns as they are stored.
dim column_at(const std::byte* indices, dim cols, dim i);
void store_columns(std::span<const std::int32_t> columns, dim cols, std::byte* out);
// A view of what lies elsewhere.
Sparse listed_view(const OutlierShape& shape, dim rows, dim cols, const std::byte* indices, const std::byte* values);

Sparse view_of(const Sparse& sparse);  // that owns nothing

// Throws Error(input) naming `where` unless positions, row starts and values agree: for what comes from files. The
// sizes of the memory pointed to are the caller's to check (sparse_sizes).
void check_sparse(const Sparse& sparse, std::string_view where);

struct SparseSizes {  // bytes
  dim positions = 0, row_starts = 0, values = 0, scales = 0;
  dim total() const { return positions + row_starts + values + scales; }
};
SparseSizes sparse_sizes(const Sparse& sparse);

dim weight_rows(const Weight& weight);
dim weight_cols(const Weight& weight);
dim weight_bytes(const Weight& weight);

// Adds the kept values of a row to cols floats; for listed ones.
void add_row(const Sparse& sparse, dim row, float* out);
void decode_sparse_row(const Sparse& sparse, dim row, float* out);  // (cols)
// Row `row` as cols floats. scratch: cols floats where the weight is a sum, else it may be null.
void decode_weight_row(const Weight& weight, dim row, float* out, float* scratch);

}  // namespace pith
