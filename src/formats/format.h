// A storage format: how a row of numbers is stored. Which values to choose is a method's business.
// Each format is one file in this folder and one line in formats.def.
#pragma once
#include <span>
#include <string_view>

#include "core/base.h"

namespace pith {

// How the scale (and minimum) of a block is found before its codes are rounded.
struct RangeSearch {
  enum class Kind {
    best,    // the format's own search for the least (importance-weighted) squared error
    minmax,  // the plain range of the block: what "round to nearest" means in papers
    lp,      // shrink the range step by step and keep the least sum of importance * |error|^p
  };
  Kind kind = Kind::best;
  double p = 2.4;
  int steps = 80;
};

struct IntGroup {  // the parameters of a group format of plain integers; bits == 0 for all others
  int bits = 0;
  bool symmetric = false;
  bool minimum = false;  // code * scale + minimum (affine_group.cpp), rather than (code - zero) * scale
};

struct CodeUnits;  // formats/code_units.h

struct Format {
  std::string_view name;      // lower case, as on the command line: "q4_k", "int4_g128_sym"
  std::string_view summary;   // one line: codes, scale, who reads it
  dim block;                  // values per block; a row is whole blocks, so block divides cols. 0: a row is one block
  dim block_bytes;            // bytes per block of `block` values (unused when block == 0)
  std::string_view fallback;  // the format to take where cols % block != 0; empty: none needed
  int gguf_type;              // ggml type id, or -1 where GGUF has no such type
  IntGroup int_group;
  dim (*bytes_of)(const Format&, dim n);  // bytes of a row of n values

  // A row of n values (n % block == 0). All of these are pure, never allocate more than a block's
  // worth, and may be called from many threads at once.
  void (*decode)(const Format&, const std::byte* in, dim n, float* out);
  // x must be finite. importance: n non-negative weights of each value's squared error, or null for
  // equal weights; an all-zero importance block is treated as equal weights.
  void (*encode)(const Format&, const float* x, const float* importance, dim n, const RangeSearch&, std::byte* out);
  // For error-feedback solvers, on one block (block == 0: on the row) of n values: `fit` stores the
  // scales for x (codes unspecified); `put` stores the code nearest to `value` as element j on those
  // scales and returns what it decodes to. Where one code stands for several values (`joint` > 1), `fit` stores the
  // codes nearest to x too, and `put` moves element j as far as a code exists that leaves the others as they are,
  // which is seldom: column by column such a format is close to what `encode` alone gives.
  void (*fit)(const Format&, const float* x, const float* importance, dim n, const RangeSearch&, std::byte* block);
  float (*put)(const Format&, std::byte* block, dim n, dim j, float value);
  dim joint = 1;  // neighbouring values that share a code
  // Where codes are shared: stores the codes nearest to `group` values from element j on (a multiple of group) on the
  // scales that `fit` found, by the sum of weights * error^2, and fills `decoded`. A last group may be short. Null for
  // all others.
  dim group = 1;
  void (*put_group)(const Format&, std::byte* block, dim n, dim j, const float* values, const float* weights,
                    float* decoded) = nullptr;
  // How a block comes apart into codes and scales; null where it does not, and for the grids of formats/grid.h.
  const CodeUnits* units = nullptr;
};

inline dim row_bytes(const Format& f, dim cols) { return f.bytes_of(f, cols); }
double bits_per_weight(const Format& f, dim cols);
bool fits(const Format& f, dim cols);  // cols is a whole number of blocks

std::span<const Format* const> all_formats();          // in the order of formats.def
const Format* find_format(std::string_view name);      // any case; null when unknown
const Format& format_or_throw(std::string_view name);  // Error(input) that lists the names
const Format* format_of_gguf_type(int type);           // null when unknown

// The ones the program itself names.
const Format& f32_format();
const Format& f16_format();
const Format& bf16_format();

}  // namespace pith
