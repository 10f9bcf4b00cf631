// Against the reference encoder's blocks: decoding bit for bit, encoding never with a larger error on any row.
#include <cmath>
#include <cstring>
#include <vector>

#include "formats/format.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr dim kRows = 15, kCols = 512;

template <class T>
std::vector<T> load(const std::filesystem::path& path) {
  const std::string bytes = test::read_file(path);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

double row_error(const float* x, const float* y, const float* w) {
  double sum = 0;
  for (dim i = 0; i < kCols; ++i) sum += (w ? double(w[i]) : 1.0) * (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum;
}

struct Golden : testing::TestWithParam<const char*> {};

void check_decode(const std::filesystem::path& folder, const std::string& stem, const Format& f) {
  const auto blocks = load<std::byte>(folder / (stem + ".blocks"));
  const auto expected = load<float>(folder / (stem + ".deq.f32"));
  ASSERT_EQ(dim(blocks.size()), kRows * row_bytes(f, kCols));
  ASSERT_EQ(dim(expected.size()), kRows * kCols);
  std::vector<float> got(expected.size());
  for (dim r = 0; r < kRows; ++r) f.decode(f, blocks.data() + r * row_bytes(f, kCols), kCols, got.data() + r * kCols);
  EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << stem;
}

TEST_P(Golden, DecodesBitForBit) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  const std::string name = GetParam();
  const Format& f = format_or_throw(name);
  check_decode(folder, name, f);
  if (std::filesystem::exists(folder / (name + ".imat.blocks"))) check_decode(folder, name + ".imat", f);
}

void check_encode(const std::filesystem::path& folder, const std::string& stem, const Format& f, const float* w) {
  const auto x = load<float>(folder / "inputs.f32");
  const auto reference = load<float>(folder / (stem + ".deq.f32"));
  std::vector<std::byte> block(std::size_t(row_bytes(f, kCols)));
  std::vector<float> y(kCols);
  for (dim r = 0; r < kRows; ++r) {
    const float* row = x.data() + r * kCols;
    f.encode(f, row, w, kCols, {}, block.data());
    f.decode(f, block.data(), kCols, y.data());
    const double ours = row_error(row, y.data(), w), theirs = row_error(row, reference.data() + r * kCols, w);
    if (std::isinf(theirs) && f.name == "f16") continue;  // row 10 is beyond float16
    EXPECT_TRUE(std::isfinite(ours)) << stem << " row " << r;
    if (std::isnan(theirs)) continue;  // the reference let a float16 scale overflow
    // The last digits of float sums may tip a tie between codes.
    EXPECT_LE(ours, theirs * (1 + 1e-6)) << stem << " row " << r;
  }
}

TEST_P(Golden, EncodesNoWorse) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  check_encode(folder, GetParam(), format_or_throw(GetParam()), nullptr);
}

TEST_P(Golden, EncodesNoWorseWithImportance) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  const std::string name = GetParam();
  if (!std::filesystem::exists(folder / (name + ".imat.blocks"))) GTEST_SKIP() << "the reference has no such variant";
  const auto w = load<float>(folder / "imatrix.f32");
  ASSERT_EQ(dim(w.size()), kCols);
  check_encode(folder, name + ".imat", format_or_throw(name), w.data());
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden,
                         testing::Values("f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl", "mxfp4",
                                         "nvfp4", "q2_0", "q1_0", "tq2_0", "tq1_0"),
                         [](const auto& it) { return std::string(it.param); });

}  // namespace
}  // namespace pith
