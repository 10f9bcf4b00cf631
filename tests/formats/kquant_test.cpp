// The super-block formats: layouts, agreement with another implementation, searches, and single values.
#include "kernels/kquant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr dim kRows = 15, kCols = 512;

struct Golden {
  const char* name;       // ours
  const char* file_name;  // of the golden files
};
constexpr Golden kGoldens[] = {{"q2_k", "q2_K"}, {"q3_k", "q3_K"}, {"q4_k", "q4_K"},
                               {"q5_k", "q5_K"}, {"q6_k", "q6_K"}, {"iq4_xs", "iq4_xs"}};

template <class T>
std::vector<T> read_all(const std::filesystem::path& path) {
  const std::string text = test::read_file(path);
  std::vector<T> values(text.size() / sizeof(T));
  std::memcpy(values.data(), text.data(), values.size() * sizeof(T));
  return values;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& bytes, dim n) {
  std::vector<float> out(std::size_t(n), -1.0f);
  f.decode(f, bytes.data(), n, out.data());
  return out;
}

std::vector<std::byte> encoded(const Format& f, const std::vector<float>& x, const float* importance = nullptr,
                               const RangeSearch& search = {}) {
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, dim(x.size()))));
  f.encode(f, x.data(), importance, dim(x.size()), search, bytes.data());
  return bytes;
}

double error(const float* x, const float* y, const float* w, dim n, double p = 2) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += (w ? double(w[i]) : 1.0) * std::pow(std::fabs(double(x[i]) - double(y[i])), p);
  return sum;
}

std::vector<float> normal_values(dim n, std::uint64_t seed, float width = 1) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = width * float(rng.normal());
  return x;
}

std::vector<float> positive_weights(dim n, std::uint64_t seed) {
  std::vector<float> w = normal_values(n, seed);
  for (float& v : w) v = v * v;
  return w;
}

class Kquant : public testing::TestWithParam<Golden> {
 protected:
  const Format& format() const { return format_or_throw(GetParam().name); }
  std::filesystem::path file(const std::filesystem::path& folder, const char* suffix) const {
    return folder / (std::string(GetParam().file_name) + suffix);
  }
};
INSTANTIATE_TEST_SUITE_P(All, Kquant, testing::ValuesIn(kGoldens),
                         [](const auto& golden) { return std::string(golden.param.name); });

TEST_P(Kquant, DecodesGoldenBlocksBitForBit) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  for (const char* variant : {"", ".imat"}) {
    const auto bytes = read_all<std::byte>(file(folder, (std::string(variant) + ".blocks").c_str()));
    const auto expected = read_all<float>(file(folder, (std::string(variant) + ".deq.f32").c_str()));
    ASSERT_EQ(dim(expected.size()), kRows * kCols);
    ASSERT_EQ(dim(bytes.size()), row_bytes(format(), kRows * kCols));
    const auto values = decoded(format(), bytes, kRows * kCols);
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), expected.size() * sizeof(float)), 0) << variant;
  }
}

TEST_P(Kquant, NoGoldenRowHasALargerErrorThanTheReference) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  const auto inputs = read_all<float>(folder / "inputs.f32");
  const auto importance = read_all<float>(folder / "imatrix.f32");
  ASSERT_EQ(dim(inputs.size()), kRows * kCols);
  ASSERT_EQ(dim(importance.size()), kCols);
  for (const char* variant : {"", ".imat"}) {
    const float* w = *variant ? importance.data() : nullptr;
    const auto reference = read_all<float>(file(folder, (std::string(variant) + ".deq.f32").c_str()));
    for (dim r = 0; r < kRows; ++r) {
      const std::vector<float> x(inputs.begin() + r * kCols, inputs.begin() + (r + 1) * kCols);
      const auto values = decoded(format(), encoded(format(), x, w), kCols);
      EXPECT_LE(error(x.data(), values.data(), w, kCols), error(x.data(), reference.data() + r * kCols, w, kCols))
          << variant << " row " << r;
    }
  }
}

TEST_P(Kquant, GaussianErrorIsClearlyBelowTheReference) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  const auto inputs = read_all<float>(folder / "inputs.f32");
  const std::vector<float> x(inputs.begin(), inputs.begin() + kCols);
  const auto reference = read_all<float>(file(folder, ".deq.f32"));
  const auto values = decoded(format(), encoded(format(), x), kCols);
  EXPECT_LT(error(x.data(), values.data(), nullptr, kCols), 0.96 * error(x.data(), reference.data(), nullptr, kCols));
}

TEST_P(Kquant, ZerosAreExact) {
  for (const float tiny : {0.0f, -0.0f, 1e-10f, std::numeric_limits<float>::denorm_min()}) {
    const std::vector<float> x(256, tiny);
    for (const float v : decoded(format(), encoded(format(), x), 256)) EXPECT_EQ(v, 0.0f);
  }
}

TEST_P(Kquant, ConstantsAreNear) {
  for (const float c : {0.5f, -0.5f, 3.3f, -20000.0f, 1e-4f, 7e-6f}) {
    const std::vector<float> x(256, c);
    for (const auto kind : {RangeSearch::Kind::best, RangeSearch::Kind::minmax, RangeSearch::Kind::lp}) {
      RangeSearch search;
      search.kind = kind;
      // Steps below 2^-14 are whole multiples of 2^-24, so small constants are met less well.
      const double bound = (std::fabs(c) > 1e-3f ? 1.5e-3 : 0.1) * std::fabs(double(c));
      for (const float v : decoded(format(), encoded(format(), x, nullptr, search), 256)) EXPECT_NEAR(v, c, bound);
    }
  }
}

TEST_P(Kquant, AnOutlierCostsOnlyItsOwnSubBlock) {
  std::vector<float> x(256, 0.0f);
  x[100] = 1000;
  const auto values = decoded(format(), encoded(format(), x), 256);
  EXPECT_NEAR(values[100], 1000, 2);
  for (dim i = 0; i < 256; ++i) {
    if (i / 32 != 100 / 32) {
      EXPECT_EQ(values[std::size_t(i)], 0.0f) << i;
    }
  }
}

TEST_P(Kquant, HugeValuesStayFiniteAndKeepTheirSign) {
  std::vector<float> x = normal_values(256, 3, 1e37f);
  x[0] = 3e38f;
  x[1] = -3e38f;
  for (const auto kind : {RangeSearch::Kind::best, RangeSearch::Kind::minmax, RangeSearch::Kind::lp}) {
    RangeSearch search;
    search.kind = kind;
    const auto w = positive_weights(256, 4);
    for (const float* importance : {static_cast<const float*>(nullptr), w.data()}) {
      const auto values = decoded(format(), encoded(format(), x, importance, search), 256);
      for (const float v : values) EXPECT_TRUE(std::isfinite(v));
      EXPECT_GE(values[0], 0.0f);
      EXPECT_LE(values[1], 0.0f);
    }
  }
}

TEST_P(Kquant, ZeroImportanceIsEqualImportance) {
  const auto x = normal_values(512, 5);
  const std::vector<float> none(512, 0.0f), same(512, 1e-30f);
  EXPECT_EQ(encoded(format(), x, none.data()), encoded(format(), x));
  const auto y = decoded(format(), encoded(format(), x, same.data()), 512),
             z = decoded(format(), encoded(format(), x), 512);
  EXPECT_NEAR(error(x.data(), y.data(), nullptr, 512) / error(x.data(), z.data(), nullptr, 512), 1, 0.02);
}

TEST_P(Kquant, EachSearchIsTheBestInItsOwnNorm) {
  const auto x = normal_values(4096, 6, 0.02f), w = positive_weights(4096, 7);
  for (const float* importance : {static_cast<const float*>(nullptr), w.data()}) {
    const auto values = [&](RangeSearch::Kind kind, double p) {
      RangeSearch search;
      search.kind = kind;
      search.p = p;
      return decoded(format(), encoded(format(), x, importance, search), 4096);
    };
    const auto plain = values(RangeSearch::Kind::minmax, 2), best = values(RangeSearch::Kind::best, 2);
    EXPECT_LT(error(x.data(), best.data(), importance, 4096), 0.97 * error(x.data(), plain.data(), importance, 4096));
    for (const double p : {0.7, 2.4, 4.0}) {
      const auto shrunk = values(RangeSearch::Kind::lp, p);
      EXPECT_LT(error(x.data(), shrunk.data(), importance, 4096, p), error(x.data(), plain.data(), importance, 4096, p))
          << p;
    }
  }
}

TEST(KquantKernels, BothInstructionSetsGiveTheSameBytes) {
  if (active_isa() != Isa::avx2) GTEST_SKIP() << "this machine has one instruction set only";
  for (const auto k : {kernels::KKind::q2, kernels::KKind::q3, kernels::KKind::q4, kernels::KKind::q5,
                       kernels::KKind::q6, kernels::KKind::iq4}) {
    for (const auto aim : {kernels::Aim::best, kernels::Aim::minmax, kernels::Aim::lp}) {
      kernels::SearchPlan plan;
      plan.aim = aim;
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const auto x = normal_values(256, seed, seed % 2 ? 1e-5f : 1.0f), w = positive_weights(256, seed + 100);
        kernels::KBlock a, b;
        const float* importance = seed % 3 ? w.data() : nullptr;
        kernels::kquant_kernels(Isa::scalar).encode(k, x.data(), importance, plan, &a);
        kernels::kquant_kernels(Isa::avx2).encode(k, x.data(), importance, plan, &b);
        ASSERT_EQ(std::memcmp(&a, &b, sizeof a), 0) << int(k) << " " << int(aim) << " " << seed;
        float u[256], v[256];
        kernels::kquant_kernels(Isa::scalar).values(k, &a, u);
        kernels::kquant_kernels(Isa::avx2).values(k, &a, v);
        ASSERT_EQ(std::memcmp(u, v, sizeof u), 0);
      }
    }
  }
}

TEST_P(Kquant, PuttingADecodedValueChangesNothing) {
  const auto x = normal_values(256, 8, 0.1f);
  for (const auto& row : {x, std::vector<float>(256, 0.0f), std::vector<float>(256, -3.0f)}) {
    const auto bytes = encoded(format(), row);
    const auto values = decoded(format(), bytes, 256);
    auto copy = bytes;
    for (dim j = 0; j < 256; ++j)
      EXPECT_EQ(format().put(format(), copy.data(), 256, j, values[std::size_t(j)]), values[std::size_t(j)]);
    EXPECT_EQ(copy, bytes);
  }
}

TEST_P(Kquant, PutStoresTheNearestValueOnTheFittedScales) {
  const auto x = normal_values(256, 9);
  std::vector<std::byte> block(std::size_t(format().block_bytes));
  format().fit(format(), x.data(), nullptr, 256, {}, block.data());
  for (dim j = 0; j < 256; j += 5) {
    std::vector<float> levels;  // all that this place can hold
    for (float v = -6; v <= 6; v += 0.01f) levels.push_back(format().put(format(), block.data(), 256, j, v));
    for (const float v : {-9.0f, x[std::size_t(j)], 0.0f, 0.3f, 9.0f}) {
      const float stored = format().put(format(), block.data(), 256, j, v);
      EXPECT_EQ(decoded(format(), block, 256)[std::size_t(j)], stored);
      for (const float level : levels) EXPECT_LE(std::fabs(stored - v), std::fabs(level - v) + 1e-6f);
    }
  }
}

// Scales 1..6, 62, 63 and minimums 10..16, 63 as another implementation packs them.
TEST(KquantLayout, Q4ScalePairs) {
  constexpr int kPacked[12] = {0x01, 0x02, 0xc3, 0xc4, 0x0a, 0x0b, 0x4c, 0xcd, 0xe5, 0xf6, 0x0e, 0xff};
  constexpr float kScales[8] = {1, 2, 3, 4, 5, 6, 62, 63}, kMinimums[8] = {10, 11, 12, 13, 14, 15, 16, 63};
  std::vector<std::byte> block(144, std::byte(0x11));                         // all codes 1
  block[0] = block[2] = std::byte(0), block[1] = block[3] = std::byte(0x3c);  // d = dmin = 1
  for (std::size_t i = 0; i < 12; ++i) block[4 + i] = std::byte(kPacked[i]);
  const auto values = decoded(format_or_throw("q4_k"), block, 256);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(values[i], kScales[i / 32] - kMinimums[i / 32]);
}

TEST(KquantLayout, Q3Scales) {
  constexpr int kPacked[12] = {0x00, 0x81, 0x8f, 0x00, 0x41, 0xc2, 0xef, 0x2f, 0xd8, 0x18, 0xe9, 0x3e};
  constexpr float kScales[16] = {-32, -31, -1, 0, 1, 2, 15, 31, -16, -8, 8, 16, 20, -20, 30, -30};
  std::vector<std::byte> block(110, std::byte(0xff));
  for (std::size_t i = 32; i < 96; ++i) block[i] = std::byte(0x55);  // low bits 1 and high bits 1: code 5, level 1
  for (std::size_t i = 0; i < 12; ++i) block[96 + i] = std::byte(kPacked[i]);
  block[108] = std::byte(0), block[109] = std::byte(0x3c);
  const auto values = decoded(format_or_throw("q3_k"), block, 256);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(values[i], kScales[i / 16]);
}

TEST(KquantLayout, BitsPerWeight) {
  constexpr struct {
    const char* name;
    double bits;
    const char* fallback;
    int gguf_type;
  } kExpected[] = {{"q2_k", 2.625, "q4_0", 10}, {"q3_k", 3.4375, "q4_0", 11}, {"q4_k", 4.5, "q5_0", 12},
                   {"q5_k", 5.5, "q5_1", 13},   {"q6_k", 6.5625, "q8_0", 14}, {"iq4_xs", 4.25, "iq4_nl", 23}};
  for (const auto& e : kExpected) {
    const Format& f = format_or_throw(e.name);
    EXPECT_EQ(bits_per_weight(f, 2048), e.bits);
    EXPECT_EQ(f.fallback, e.fallback);
    EXPECT_EQ(f.gguf_type, e.gguf_type);
    EXPECT_FALSE(fits(f, 576));
  }
}

}  // namespace
}  // namespace pith
