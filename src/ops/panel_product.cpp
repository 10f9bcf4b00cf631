#include "ops/panel_product.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kInputBytes =
    dim(2) << 20;  // of rows of x that threads go over panel by panel; stays in the shared cache

int block_rows(dim left, int most) {
  for (int rows = most; rows > 1; rows /= 2)
    if (left >= rows) return rows;
  return 1;
}

// x rounded for one kind of weight.
struct Rounded {
  PanelInput input;
  std::byte* data = nullptr;
  bool serves(const PanelShape& s) const {
    return input.padded == s.cols && input.sums == panel_sums(s) && input.zero == s.zero;
  }
  const std::byte* row(dim i) const { return data + i * panel_input_row_bytes(input); }
};

struct Call {
  std::span<const PanelProduct> products;
  const float* x;
  dim x_stride, n;
  int most;  // rows of a block
};

// The kinds of inputs that the weights ask for.
std::vector<Rounded> kinds_of(const Call& c, PanelWorkspace& ws) {
  std::vector<Rounded> kinds;
  dim bytes = 0;
  for (const PanelProduct& p : c.products) {
    const PanelShape& s = p.weight->shape;
    if (std::any_of(kinds.begin(), kinds.end(), [&](const Rounded& r) { return r.serves(s); })) continue;
    kinds.push_back({{p.weight->cols, s.cols, panel_sums(s), s.zero}, nullptr});
    bytes += (c.n * panel_input_row_bytes(kinds.back().input) + 63) / 64 * 64;
  }
  ws.inputs.reserve(bytes);
  std::byte* at = ws.inputs.data();
  for (Rounded& r : kinds) {
    r.data = at;
    at += (c.n * panel_input_row_bytes(r.input) + 63) / 64 * 64;
  }
  return kinds;
}

void round_inputs(const Call& c, const std::vector<Rounded>& kinds) {
  for (const Rounded& r : kinds) {
    const dim blocks = (c.n + c.most - 1) / c.most;
    parallel_ranges(blocks, grain_of(c.most * r.input.padded), [&](dim begin, dim end) {
      const dim last = std::min(c.n, end * c.most);
      for (dim i = begin * c.most; i < last;) {
        const int rows = block_rows(last - i, c.most);
        put_panel_input(r.input, c.x + i * c.x_stride, c.x_stride, rows, r.data + i * panel_input_row_bytes(r.input));
        i += rows;
      }
    });
  }
}

void finish(const PanelProduct& p, dim i, dim panel, int rows, const float* sums) {
  const dim first = panel * kPanelRows, count = std::min(kPanelRows, p.weight->rows - first);
  const float* bias = p.bias ? p.bias + first : nullptr;
  float* y = p.y + i * p.y_stride + first;
  if (count == kPanelRows) return put_panel_sums(sums, rows, {y, p.y_stride, bias, p.add});
  for (int k = 0; k < rows; ++k, y += p.y_stride)
    for (dim r = 0; r < count; ++r) {
      const float sum = sums[k * kPanelRows + r], value = bias ? sum + bias[r] : sum;
      y[r] = p.add ? y[r] + value : value;
    }
}

const Rounded& rounded_for(const std::vector<Rounded>& kinds, const PanelShape& s) {
  return *std::find_if(kinds.begin(), kinds.end(), [&](const Rounded& r) { return r.serves(s); });
}

// The panels of all weights are counted one after another.
template <class Body>  // body(product, panel)
void over_panels(std::span<const PanelProduct> products, dim begin, dim end, const Body& body) {
  dim before = 0;
  for (const PanelProduct& p : products) {
    const dim panels = p.weight->panels();
    for (dim i = std::max(begin, before); i < std::min(end, before + panels); ++i) body(p, i - before);
    before += panels;
  }
}

void few_rows(const Call& c, const std::vector<Rounded>& kinds, dim panels) {
  parallel_ranges(panels, grain_of(kPanelRows * c.products[0].weight->cols * c.n / 4), [&](dim begin, dim end) {
    over_panels(c.products, begin, end, [&](const PanelProduct& p, dim panel) {
      const PanelShape& s = p.weight->shape;
      const Rounded& in = rounded_for(kinds, s);
      const std::byte* data = panel_at(*p.weight, panel);
      for (dim i = 0; i < c.n;) {
        const int rows = block_rows(c.n - i, c.most);
        float sums[kPanelFewRows * kPanelRows];
        panel_product(s, data, in.row(i), rows, sums);
        finish(p, i, panel, rows, sums);
        i += rows;
      }
    });
  });
}

dim tile_bytes(const PanelShape& s) { return kPanelRows * (s.cols + 8 * (s.cols / panel_sums(s))); }

void many_rows(const Call& c, const std::vector<Rounded>& kinds, dim panels, PanelWorkspace& ws) {
  dim tile = 0, row = 0;
  for (const PanelProduct& p : c.products) tile = std::max(tile, tile_bytes(p.weight->shape));
  for (const Rounded& r : kinds) row = std::max(row, panel_input_row_bytes(r.input));
  ws.tiles.reserve(num_threads() * tile);
  const dim chunk = std::max<dim>(kInputBytes / row / c.most, 1) * c.most;
  parallel_parts(panels, 1, [&](dim part, dim begin, dim end) {
    std::byte* scratch = ws.tiles.data() + part * tile;
    for (dim first = 0; first < c.n; first += chunk)
      over_panels(c.products, begin, end, [&](const PanelProduct& p, dim panel) {
        const PanelShape& s = p.weight->shape;
        const Rounded& in = rounded_for(kinds, s);
        PanelTile t;
        t.codes = reinterpret_cast<std::uint8_t*>(scratch);
        t.factor = reinterpret_cast<float*>(scratch + kPanelRows * s.cols);
        t.minimum = t.factor + kPanelRows * (s.cols / panel_sums(s));
        unpack_panel(s, panel_at(*p.weight, panel), t);
        const dim last = std::min(c.n, first + chunk);
        for (dim i = first; i < last;) {
          const int rows = block_rows(last - i, c.most);
          float sums[kPanelRowsAtOnce * kPanelRows];
          tile_product(s, t, in.row(i), rows, sums);
          finish(p, i, panel, rows, sums);
          i += rows;
        }
      });
  });
}

}  // namespace

void panel_products(std::span<const PanelProduct> products, const float* x, dim x_stride, dim n, PanelWorkspace& ws) {
  PITH_CHECK(!products.empty() && x);
  if (n == 0) return;
  const bool few = n < kPanelRowsAtOnce;
  const Call call = {products, x, x_stride, n, few ? kPanelFewRows : kPanelRowsAtOnce};
  const std::vector<Rounded> kinds = kinds_of(call, ws);
  round_inputs(call, kinds);
  dim panels = 0;
  for (const PanelProduct& p : products) panels += p.weight->panels();
  few ? few_rows(call, kinds, panels) : many_rows(call, kinds, panels, ws);
}

}  // namespace pith
