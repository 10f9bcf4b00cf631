#include "model/exchange/grid_layer.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"
#include "core/half.h"
#include "core/parallel.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr dim kRowsAtOnce = 16;  // codes of neighbouring rows often share words or cache lines

dim groups_in_row(const GridLayer& layer) { return (layer.cols + layer.grid.group - 1) / layer.grid.group; }

bool float16_holds(float value) { return f16_to_f32(f32_to_f16(value)) == value; }

bool scales_are_float16(const GridLayer& layer) {
  std::atomic<bool> held = true;
  parallel_ranges(layer.rows, 64, [&](dim begin, dim end) {
    for (dim r = begin; r < end && held; ++r)
      for (dim g = 0; g < groups_in_row(layer); ++g) {
        const GridLayer::Group group = layer.group(r, g);
        if (!float16_holds(group.scale) || !float16_holds(group.min)) held = false;
      }
  });
  return held;
}

// The format on this grid with the largest groups; null when there is none.
const Format* format_on(const GridLayer& layer) {
  if (!layer.group_of_col.empty() || layer.cols % layer.grid.group != 0) return nullptr;
  const Format* best = nullptr;
  dim best_group = 0;
  for (const Format* f : all_formats()) {
    const Grid grid = grid_of(*f, layer.cols);
    if (f->int_group.bits == 0 || grid.kind != layer.grid.kind || grid.bits != layer.grid.bits) continue;
    if (layer.grid.group % grid.group != 0 || grid.group < best_group) continue;
    if (grid.group == best_group && (f->block == 0) != layer.by_row) continue;
    best = f;
    best_group = grid.group;
  }
  return best;
}

// each(row, its codes)
template <class Each>
void for_rows(const GridLayer& layer, const Each& each) {
  const dim blocks = (layer.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  parallel_ranges(blocks, 1, [&](dim first, dim last) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(kRowsAtOnce * layer.cols));
    for (dim block = first; block < last; ++block) {
      const dim begin = block * kRowsAtOnce, end = std::min(layer.rows, begin + kRowsAtOnce);
      layer.codes(begin, end, codes.data());
      for (dim r = begin; r < end; ++r) each(r, codes.data() + (r - begin) * layer.cols);
    }
  });
}

void store_groups(const GridLayer& layer, const Format& f, std::byte* out) {
  const Grid grid = grid_of(f, layer.cols);
  const dim bytes = row_bytes(f, layer.cols), parts = layer.grid.group / grid.group;
  for_rows(layer, [&](dim r, const std::uint8_t* codes) {
    for (dim g = 0; g < layer.cols / grid.group; ++g) {
      const GridLayer::Group group = layer.group(r, g / parts);
      write_group(f, grid, {f32_to_f16(group.scale), f32_to_f16(group.min), group.zero}, codes + g * grid.group, g,
                  out + r * bytes);
    }
  });
}

void store_values(const GridLayer& layer, const Format& f, std::byte* out) {
  const dim bytes = row_bytes(f, layer.cols), groups = groups_in_row(layer);
  for_rows(layer, [&](dim r, const std::uint8_t* codes) {
    std::vector<GridLayer::Group> of_row;
    of_row.reserve(std::size_t(groups));
    for (dim g = 0; g < groups; ++g) of_row.push_back(layer.group(r, g));
    std::vector<float> values(static_cast<std::size_t>(layer.cols));
    for (dim c = 0; c < layer.cols; ++c) {
      const dim g = layer.group_of_col.empty() ? c / layer.grid.group : layer.group_of_col[std::size_t(c)];
      const GridLayer::Group& group = of_row[std::size_t(g)];
      values[std::size_t(c)] = float(int(codes[c]) - group.zero) * group.scale + group.min;
    }
    f.encode(f, values.data(), nullptr, layer.cols, RangeSearch{}, out + r * bytes);
  });
}

std::string why_decoded(const GridLayer& layer) {
  if (!layer.group_of_col.empty()) return "their groups do not follow the order of the columns (act-order)";
  if (layer.cols % layer.grid.group != 0) return "their last group is shorter than the others";
  if (format_on(layer)) return "float16 does not hold their scales exactly";
  return fmt::format("{} bits in groups of {} have no format of their own", layer.grid.bits, layer.grid.group);
}

}  // namespace

ModelTensor to_tensor(const GridLayer& layer, Unpacked& out) {
  PITH_CHECK(layer.rows > 0 && layer.cols > 0 && layer.grid.group > 0 && layer.grid.bits <= 8);
  const Format* format = format_on(layer);
  const bool exact = format && scales_are_float16(layer);
  if (!exact) {
    format = layer.wide ? &bf16_format() : &f16_format();
    out.note(fmt::format("packed layers were decoded to {}: {}", format->name, why_decoded(layer)));
  }
  ModelTensor t;
  t.name = layer.name;
  t.shape = {layer.rows, layer.cols};
  t.weight.format = format;
  t.weight.owned = Buffer(layer.rows * row_bytes(*format, layer.cols));
  t.weight.data = t.weight.owned.data();
  set_shape(t);
  if (exact)
    store_groups(layer, *format, t.weight.owned.data());
  else
    store_values(layer, *format, t.weight.owned.data());
  out.keep(t);
  return t;
}

}  // namespace pith
