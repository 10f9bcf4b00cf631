// Products of small integer codes with 8-bit inputs. A panel is sixteen rows of a matrix, interleaved so that a vector
// of 64 bytes holds four columns of all sixteen, at about as many bits as the format itself takes. Codes are multiplied
// and summed exactly in int32 over 16 or 32 columns, and those sums scaled in f32 in order, so the bits are the same
// for every instruction set, for a row of inputs alone or among others, and for the packed and the unpacked product.
#pragma once
#include "core/base.h"

namespace pith {

inline constexpr dim kPanelRows = 16;
inline constexpr dim kPanelStep = 32;    // columns that share a scale of the inputs
inline constexpr int kPanelFewRows = 4;  // of the inputs: most that the packed product takes at once
inline constexpr int kPanelRowsAtOnce = 8;

// value = factor * (level - zero) + minimum, where level is the code or levels[code], and of each `unit` columns
//   factor = scale, or scale * (an 8-bit number per `sub` columns)
//   minimum = 0; a 16-bit float; -factor * (an 8-bit zero point); or -(a 16-bit float) * (an 8-bit number per sub).
struct PanelShape {
  enum class Minimum : std::uint8_t { none, half, zero_point, scaled };
  dim cols = 0;  // a multiple of `unit`; inputs are 0 in columns that the matrix has not
  dim unit = 0;  // a multiple of 32
  int bits = 0;  // of a code: 2, 3, 4, 5, 6 or 8; 0: no such matrix
  int sub = 0;   // 0, 16 or 32
  int zero = 0;
  Minimum minimum = Minimum::none;
  bool bfloat_scale = false;            // the scale is a bfloat16, else a float16
  const std::int8_t* levels = nullptr;  // 16 of them, for codes of 4 bits
  bool sparse = false;                  // codes of 8 bits that are `zero` are left out; panels differ in size
};
dim panel_bytes(const PanelShape& shape);                                     // not sparse
inline int panel_sums(const PanelShape& s) { return s.sub == 16 ? 16 : 32; }  // columns of an exact sum

// One row's part of a panel: `unit` columns.
struct PanelUnit {
  std::uint16_t scale = 0, minimum = 0;  // bits; `minimum` in its own meaning: float16, or the zero point
  std::int8_t factor[16] = {};           // per sub
  std::uint8_t sub_minimum[16] = {};
  const std::uint8_t* codes = nullptr;  // (unit)
};
// Writes unit `index` of a panel from sixteen rows.
void put_panel_unit(const PanelShape& shape, const PanelUnit* rows, dim index, std::byte* panel);
// The same for sparse panels, which grow unit by unit: writes at `out` and returns the bytes.
// Readers may look at 64 bytes after a panel's last.
dim put_sparse_unit(const PanelShape& shape, const PanelUnit* rows, std::byte* out);

// Rows of inputs, rounded to 8 bits with one scale for 32 columns, in blocks of 8, 4, 2 or 1 rows that lie one after
// another, so that the first row of a block stands at row * bytes of a row.
struct PanelInput {
  dim cols = 0;  // of x
  dim padded = 0;
  int sums = 32;  // panel_sums
  int zero = 0;
};
inline dim panel_input_row_bytes(const PanelInput& in) {
  return in.padded + 4 * (in.padded / kPanelStep) + 8 * (in.padded / in.sums);
}
// A block of `rows` (1, 2, 4 or 8) rows. Not finite inputs give a scale that is not finite.
void put_panel_input(const PanelInput& in, const float* x, dim stride, int rows, std::byte* block);

// y (rows, 16) from a packed panel and a block of 1, 2 or 4 rows.
void panel_product(const PanelShape& shape, const std::byte* panel, const std::byte* block, int rows, float* y);

// A panel with a byte for each code, for many rows of inputs.
struct PanelTile {
  std::uint8_t* codes = nullptr;  // (cols / 4, 16, 4)
  float* factor = nullptr;        // (cols / panel_sums, 16)
  float* minimum = nullptr;       // the same; unused where the shape has none
};
void unpack_panel(const PanelShape& shape, const std::byte* panel, const PanelTile& tile);
void tile_product(const PanelShape& shape, const PanelTile& tile, const std::byte* block, int rows, float* y);

// y (rows, 16), row i at y + i * stride, = or += sums (rows, 16) + bias; bias: (16) or null.
struct PanelOut {
  float* y = nullptr;
  dim stride = 0;
  const float* bias = nullptr;
  bool add = false;
};
void put_panel_sums(const float* sums, int rows, const PanelOut& out);

}  // namespace pith
