#include "compress/reconstruct/level_grid.h"

#include <algorithm>

#include "core/error.h"
#include "formats/grid.h"

namespace pith {

namespace {

struct SubBlocks {  // of GGUF's k-quants, and q8_0, whose lowest code is never used
  std::string_view name;
  dim group;
  int top;
  bool symmetric;
};
constexpr SubBlocks kSubBlocks[] = {
    {"q2_k", 16, 3, false},  {"q3_k", 16, 7, true},  {"q4_k", 32, 15, false},
    {"q5_k", 32, 31, false}, {"q6_k", 16, 63, true}, {"q8_0", 32, 254, true},
};

constexpr float kBeyond = 1e30f;  // any range

dim block_of(const LevelGrid& g) { return g.format->block > 0 ? g.format->block : g.cols; }
dim block_bytes_of(const LevelGrid& g) {
  return g.format->block > 0 ? g.format->block_bytes : row_bytes(*g.format, g.cols);
}

// What the lowest and the highest code of each group decode to. Leaves the codes changed.
void probe(const LevelGrid& g, std::byte* block, Ends* out) {
  const Format& f = *g.format;
  for (dim j = 0; j < block_of(g); j += g.group) {
    const float a = f.put(f, block, block_of(g), j, -kBeyond), b = f.put(f, block, block_of(g), j, kBeyond);
    *out++ = {std::min(a, b), std::max(a, b)};
  }
}

}  // namespace

std::optional<LevelGrid> level_grid(const Format& f, dim cols) {
  if (cols == 0 || !fits(f, cols) || f.joint != 1) return {};
  for (const SubBlocks& s : kSubBlocks)
    if (s.name == f.name) return LevelGrid{&f, cols, s.group, s.top, s.symmetric};
  const Grid grid = grid_of(f, cols);
  if (grid.kind == GridKind::none) return {};
  return LevelGrid{&f, cols, grid.group, (1 << grid.bits) - 1, grid.kind == GridKind::symmetric};
}

void read_ends(const LevelGrid& g, const std::byte* row, Ends* out) {
  const dim bytes = block_bytes_of(g), groups = block_of(g) / g.group;
  std::vector<std::byte> copy(static_cast<std::size_t>(bytes));
  for (dim b = 0; b < g.cols / block_of(g); ++b) {
    std::copy_n(row + b * bytes, bytes, copy.data());
    probe(g, copy.data(), out + b * groups);
  }
}

void store_ends(const LevelGrid& g, const Ends* wanted, std::byte* row, Ends* out) {
  const Format& f = *g.format;
  const dim n = block_of(g), bytes = block_bytes_of(g), groups = n / g.group;
  std::vector<float> ramp(static_cast<std::size_t>(n));
  for (dim b = 0; b < g.cols / n; ++b) {
    for (dim s = 0; s < groups; ++s) {
      const Ends e = wanted[b * groups + s];
      for (dim j = 0; j < g.group; ++j)  // whatever lies between the ends
        ramp[std::size_t(s * g.group + j)] = j % 2 == 0 ? e.low : e.high;
    }
    f.fit(f, ramp.data(), nullptr, n, {.kind = RangeSearch::Kind::minmax}, row + b * bytes);
    probe(g, row + b * bytes, out + b * groups);
  }
}

void put_row(const LevelGrid& g, const float* values, std::byte* row) {
  const Format& f = *g.format;
  const dim n = block_of(g), bytes = block_bytes_of(g);
  for (dim b = 0; b < g.cols / n; ++b)
    for (dim j = 0; j < n; ++j) f.put(f, row + b * bytes, n, j, values[b * n + j]);
}

}  // namespace pith
