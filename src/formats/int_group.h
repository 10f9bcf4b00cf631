// The group formats of plain integers, int{2,...,8}_{g32,g64,g128,row}[_sym]; "row": one group per row.
//   asymmetric: 0       2         3                       value = (code - zero) * scale, code and zero unsigned
//               | scale | zero u8 | codes, low bits first |
//   symmetric:  0       2                                 value = code * scale, code in [-2^(b-1), 2^(b-1)-1],
//               | scale | codes + 2^(b-1), low bits first |    stored with 2^(b-1) added
// scale is float16; for symmetric formats it may be negative. Code i takes bits [i * b, (i + 1) * b) of one
// little-endian stream; its last byte is filled up with zeros.
#pragma once
#include "formats/format.h"

namespace pith {

struct IntGroupParams {
  int bits = 0;
  bool symmetric = false;
  dim group = 0;   // values per group: for "row" formats the whole row
  dim groups = 0;  // per row
  dim group_bytes = 0;
};
// For a row of `cols` values; PITH_CHECK(f.int_group.bits != 0 && fits(f, cols)).
IntGroupParams int_group_params(const Format& f, dim cols);

struct IntGroupScale {
  std::uint16_t scale_bits = 0;  // float16
  int zero = 0;                  // 0 for symmetric formats
};
// codes: p.group values, unsigned for asymmetric formats (int8 asymmetric: 0..255 as int8 bit patterns),
// signed for symmetric ones.
IntGroupScale unpack_int_group(const IntGroupParams& p, const std::byte* block, std::int8_t* codes);
void pack_int_group(const IntGroupParams& p, IntGroupScale scale, const std::int8_t* codes, std::byte* block);

}  // namespace pith
