// Products from panels against the decoded weight and the rounded inputs, in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "formats/code_units.h"
#include "ops/panel_product.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::encoded;
using test::normals;

// What the inputs are after rounding: one scale for 32 columns, the largest of them at 127.
std::vector<double> rounded_row(const float* x, dim cols) {
  std::vector<double> out(static_cast<std::size_t>(cols));
  for (dim c = 0; c < cols; c += 32) {
    float most = 0;
    const dim end = std::min(cols, c + 32);
    for (dim k = c; k < end; ++k) most = std::max(most, std::fabs(x[k]));
    for (dim k = c; k < end; ++k)
      out[std::size_t(k)] =
          most > 0 ? std::nearbyint(double(x[k] * (127.0f / most))) * double(most * (1.0f / 127.0f)) : 0;
  }
  return out;
}

struct Made {
  Weight weight;
  PanelWeight panels;
  Buffer bytes;
};

Made made(const Format& f, dim rows, dim cols, std::uint64_t seed) {
  Made m;
  m.weight = encoded(f, normals(rows * cols, seed), rows, cols);
  m.panels = panel_weight_of(m.weight);
  if (m.panels.shape.bits == 0) return m;
  m.bytes = Buffer(panel_weight_bytes(m.panels));
  m.panels.data = m.bytes.data();
  fill_panels(std::get<Encoded>(m.weight), 0, m.panels.panels(), m.bytes.data());
  return m;
}

std::vector<float> product(const Made& m, const std::vector<float>& x, dim n) {
  std::vector<float> y(static_cast<std::size_t>(n * m.panels.rows));
  PanelWorkspace ws;
  const PanelProduct p = {.weight = &m.panels, .y = y.data(), .y_stride = m.panels.rows};
  panel_products({&p, 1}, x.data(), m.panels.cols, n, ws);
  return y;
}

class PanelOfFormat : public testing::TestWithParam<const Format*> {};

TEST_P(PanelOfFormat, IsTheProductOfDecodedWeightAndRoundedInputs) {
  const Format& f = *GetParam();
  const dim rows = 37, cols = 768, n = 13;  // neither whole panels nor whole blocks of inputs
  const Made m = made(f, rows, cols, 1);
  const std::vector<float> x = normals(n * cols, 2);
  const std::vector<float> y = product(m, x, n);
  std::vector<float> row(static_cast<std::size_t>(cols));
  for (dim i = 0; i < n; ++i) {
    const std::vector<double> in = rounded_row(x.data() + i * cols, cols);
    for (dim r = 0; r < rows; ++r) {
      const auto& e = std::get<Encoded>(m.weight);
      f.decode(f, e.data + r * row_bytes(f, cols), cols, row.data());
      double sum = 0, size = 0;
      for (dim c = 0; c < cols; ++c) {
        sum += in[std::size_t(c)] * double(row[std::size_t(c)]);
        size += std::fabs(in[std::size_t(c)] * double(row[std::size_t(c)]));
      }
      // 24 or 48 sums in f32, of parts that may be larger than the whole by a minimum's share
      ASSERT_NEAR(double(y[std::size_t(i * rows + r)]), sum, 4e-6 * size + 1e-7) << f.name << " " << i << " " << r;
    }
  }
}

TEST_P(PanelOfFormat, GivesARowTheSameBitsInAnyCompany) {
  const Format& f = *GetParam();
  const dim rows = 33, cols = 512, n = 15;
  const Made m = made(f, rows, cols, 3);
  const std::vector<float> x = normals(n * cols, 4);
  const std::vector<float> all = product(m, x, n);
  for (const dim count : {1, 2, 3, 7, 8, 9}) {
    const std::vector<float> some = product(m, x, count);
    for (std::size_t i = 0; i < some.size(); ++i)
      ASSERT_EQ(some[i], all[i]) << f.name << " of " << count << " at " << i;
  }
  const int threads = num_threads();
  set_num_threads(3);
  EXPECT_EQ(product(m, x, n), all);
  set_num_threads(threads);
}

std::string name_of(const testing::TestParamInfo<const Format*>& info) { return std::string(info.param->name); }
std::vector<const Format*> with_panels() {
  std::vector<const Format*> out;
  for (const Format* f : all_formats())
    if (panel_shape(*f, 768).bits > 0) out.push_back(f);
  return out;
}
INSTANTIATE_TEST_SUITE_P(All, PanelOfFormat, testing::ValuesIn(with_panels()), name_of);

TEST(Panel, ServesTheFormatsOfIntegerCodes) {
  for (const char* name : {"q4_0",  "q4_1",     "q5_0",     "q5_1",      "q8_0",         "q2_k",        "q3_k", "q4_k",
                           "q5_k",  "q6_k",     "iq4_nl",   "iq4_xs",    "tq1_0",        "tq2_0",       "q1_0", "q2_0",
                           "mxfp4", "int2_g64", "int3_g64", "int4_g128", "int4_g32_sym", "int8_row_sym"})
    EXPECT_GT(panel_shape(format_or_throw(name), 768).bits, 0) << name;
  for (const char* name : {"f32", "bf16", "nf4_b64", "iq2_xxs", "fp8_e4m3"})
    EXPECT_EQ(panel_shape(format_or_throw(name), 768).bits, 0) << name;
}

TEST(Panel, TakesRowsThatAreOneGroupOfAnyLength) {
  const Format& f = format_or_throw("int4_row_sym");
  const dim cols = 45;
  const Made m = made(f, 16, cols, 5);
  ASSERT_EQ(m.panels.shape.bits, 4);
  EXPECT_EQ(m.panels.shape.cols, 64);
  const std::vector<float> x = normals(cols, 6);
  const std::vector<float> y = product(m, x, 1);
  const std::vector<double> in = rounded_row(x.data(), cols);
  std::vector<float> row(static_cast<std::size_t>(cols));
  for (dim r = 0; r < 16; ++r) {
    const auto& e = std::get<Encoded>(m.weight);
    f.decode(f, e.data + r * row_bytes(f, cols), cols, row.data());
    double sum = 0;
    for (dim c = 0; c < cols; ++c) sum += in[std::size_t(c)] * double(row[std::size_t(c)]);
    EXPECT_NEAR(double(y[std::size_t(r)]), sum, 1e-5) << r;
  }
}

TEST(Panel, IsAboutAsLargeAsTheFormat) {
  // Bytes of 16 rows of 256 values, and of the panel.
  const std::pair<const char*, std::pair<dim, dim>> expected[] = {
      {"q4_0", {2304, 2304}}, {"q8_0", {4352, 4352}}, {"q2_k", {1344, 1600}}, {"q3_k", {1760, 1824}},
      {"q4_k", {2304, 2368}}, {"q5_k", {2816, 2880}}, {"q6_k", {3360, 3360}}, {"iq4_xs", {2176, 2208}}};
  for (const auto& [name, bytes] : expected) {
    const Format& f = format_or_throw(name);
    const Made m = made(f, 16, 256, 7);
    EXPECT_EQ(16 * row_bytes(f, 256), bytes.first) << name;
    EXPECT_EQ(panel_weight_bytes(m.panels), bytes.second) << name;
  }
}

TEST(Panel, ShowsInputsThatAreNotNumbers) {
  const Made m = made(format_or_throw("q4_0"), 16, 64, 8);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = normals(64, 9);
    x[40] = bad;
    for (const float y : product(m, x, 1)) EXPECT_FALSE(std::isfinite(y));
  }
}

}  // namespace
}  // namespace pith
