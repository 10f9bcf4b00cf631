// Panels without zeros give the bits of the dense panels, whose products have their own test.
#include <gtest/gtest.h>

#include "formats/sparse_rows.h"
#include "ops/panel_product.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::encoded;
using test::normals;

struct Case {
  const char* format;
  SparseLayout layout;
  dim rows, cols;
};

class SparsePanels : public testing::TestWithParam<Case> {};

std::vector<float> product(const PanelWeight& w, const std::vector<float>& x, dim n) {
  std::vector<float> y(static_cast<std::size_t>(n * w.rows));
  PanelWorkspace ws;
  const PanelProduct p = {.weight = &w, .y = y.data(), .y_stride = w.rows};
  panel_products({&p, 1}, x.data(), w.cols, n, ws);
  return y;
}

TEST_P(SparsePanels, GiveTheBitsOfDenseOnes) {
  const auto [name, layout, rows, cols] = GetParam();
  const Format& f = format_or_throw(name);
  std::vector<float> values = normals(rows * cols, 1);
  for (dim i = 0; i < rows * cols; ++i)
    if (layout == SparseLayout::two_of_four ? i % 4 == 1 || i % 4 == 2 + i / 4 % 2 : values[std::size_t(i)] < 0.1f)
      values[std::size_t(i)] = 0;
  const Weight dense = encoded(f, values, rows, cols);
  PanelWeight panels = panel_weight_of(dense);
  Buffer bytes(panel_weight_bytes(panels));
  panels.data = bytes.data();
  fill_panels(std::get<Encoded>(dense), 0, panels.panels(), bytes.data());

  dim kept = 0;
  for (const float v : values) kept += v != 0;
  const SparseShape shape{layout, kept};
  const SparseParts parts = pack_sparse(shape, f, rows, cols, std::get<Encoded>(dense).data);
  const Weight sparse =
      sparse_view(shape, f, rows, cols, parts.positions.data(), parts.scales.data(), parts.values.data(), "test");
  PanelWeight without = panel_weight_of(sparse);
  ASSERT_TRUE(without.shape.sparse);
  std::vector<std::int64_t> starts{0};
  for (dim p = 0; p < without.panels(); ++p)
    starts.push_back(starts.back() + fill_sparse_panel(std::get<Sparse>(sparse), p, nullptr));
  Buffer own(starts.back() + 64);
  without.data = own.data();
  without.starts = starts.data();
  for (dim p = 0; p < without.panels(); ++p)
    EXPECT_LE(fill_sparse_panel(std::get<Sparse>(sparse), p, own.data() + starts[std::size_t(p)]),
              starts[std::size_t(p + 1)] - starts[std::size_t(p)]);
  EXPECT_LT(starts.back(), panel_weight_bytes(panels));

  const std::vector<float> x = normals(13 * cols, 2);
  for (const dim n : {1, 2, 5, 13}) EXPECT_EQ(product(without, x, n), product(panels, x, n)) << n;
}

INSTANTIATE_TEST_SUITE_P(Formats, SparsePanels,
                         testing::Values(Case{"int8_row_sym", SparseLayout::bitmask, 37, 96},
                                         Case{"int8_g128_sym", SparseLayout::bitmask, 32, 256},
                                         Case{"int4_g64_sym", SparseLayout::bitmask, 33, 192},
                                         Case{"q8_0", SparseLayout::bitmask, 16, 64},
                                         Case{"int8_row_sym", SparseLayout::two_of_four, 37, 96},
                                         Case{"int4_g128_sym", SparseLayout::two_of_four, 20, 256}),
                         [](const auto& i) {
                           return std::string(i.param.format) +
                                  (i.param.layout == SparseLayout::bitmask ? "_bitmask" : "_two_of_four");
                         });

}  // namespace
}  // namespace pith
