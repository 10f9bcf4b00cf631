// What every registered format promises, whatever it stores.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

constexpr dim kCols = 1024;
using Values = std::vector<float>;
using Bytes = std::vector<std::byte>;
using Kind = RangeSearch::Kind;

// Half the widest step of a float with few mantissa bits, where the scale of a block cannot make up for it.
float step_of(const Format& f) {
  const auto has = [&](std::string_view part) { return f.name.find(part) != f.name.npos; };
  if (f.name == "mxfp4") return 1.0f / 5;
  if (f.name == "nvfp4") return 1.0f / 20;
  if (f.name == "nvfp4_row") return 1.0f / 16;  // the scale itself is such a float
  if (!has("mxfp") && !has("_cast")) return 0;
  return has("e4m3") || has("e2m3") ? 1.0f / 16 : 1.0f / 8;
}

struct FormatContract : testing::TestWithParam<const Format*> {
  const Format& f = *GetParam();

  bool plain_floats() const { return f.name == "f32" || f.name == "f16" || f.name == "bf16"; }
  Bytes encode(const Values& x, const RangeSearch& r = {}, const float* w = nullptr) const {
    Bytes out(std::size_t(row_bytes(f, dim(x.size()))));
    f.encode(f, x.data(), w, dim(x.size()), r, out.data());
    return out;
  }
  Values decode(const Bytes& bytes, dim n = kCols) const {
    Values out(static_cast<std::size_t>(n));
    f.decode(f, bytes.data(), n, out.data());
    return out;
  }
};

Values normal_row(std::uint64_t seed, double sigma = 1) {
  Rng rng(seed);
  Values x(kCols);
  for (float& v : x) v = float(rng.normal() * sigma);
  return x;
}

Values weights_row(std::uint64_t seed) {
  Rng rng(seed);
  Values w(kCols);
  for (float& v : w) v = float(std::exp(2 * rng.normal()));
  return w;
}

double norm_error(const Values& x, const Values& y, const float* w, double p) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += (w ? double(w[i]) : 1.0) * std::pow(std::abs(double(x[i]) - y[i]), p);
  return sum;
}

TEST_P(FormatContract, ZeroesStayExact) {
  for (const auto kind : {Kind::best, Kind::minmax, Kind::lp})
    for (const float v : decode(encode(Values(kCols, 0.0f), {.kind = kind}))) ASSERT_EQ(v, 0.0f);
}

TEST_P(FormatContract, ConstantsStayClose) {
  // A scale or minimum in float16 is within 2^-11; a power of two with steps of E2M1 is within 1 / 5, an E4M3 with
  // them within 1 / 20, and a table whose largest neighbours are 89 and 113 hits its ends.
  for (const float c : {1.0f, -0.37f, 250.0f}) {
    const Values y = decode(encode(Values(kCols, c)));
    const float tolerance = std::max(step_of(f), 0.01f);
    for (const float v : y) ASSERT_NEAR(v, c, std::abs(c) * tolerance) << c;
  }
}

TEST_P(FormatContract, NothingFiniteBecomesNan) {
  for (const float huge : {3e38f, 1e30f, 7e4f, 1e-30f, 1e-44f})
    for (const auto kind : {Kind::best, Kind::minmax, Kind::lp}) {
      Values x = normal_row(3);
      for (float& v : x) v *= huge / 8;
      x[5] = huge, x[70] = -huge, x[600] = huge;
      const bool may_be_infinite = plain_floats();
      for (const float v : decode(encode(x, {.kind = kind}))) {
        ASSERT_FALSE(std::isnan(v)) << huge;
        ASSERT_TRUE(may_be_infinite || std::isfinite(v)) << huge;
      }
    }
}

TEST_P(FormatContract, OutlierIsKept) {
  Values x = normal_row(4);
  x[300] = 60;
  const Values y = decode(encode(x, {.kind = Kind::minmax}));
  EXPECT_NEAR(y[300], 60, 60 * std::max(step_of(f), 0.1f));
}

TEST_P(FormatContract, StatedBytesAreUsed) {
  // Every byte after encoding is written: two different backgrounds give the same bytes.
  const Values x = normal_row(5);
  Bytes a(std::size_t(row_bytes(f, kCols)) + 64, std::byte{0xaa}), b(a.size(), std::byte{0x55});
  f.encode(f, x.data(), nullptr, kCols, {}, a.data());
  f.encode(f, x.data(), nullptr, kCols, {}, b.data());
  const auto used = std::ptrdiff_t(row_bytes(f, kCols));
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + used, b.begin()));
  EXPECT_TRUE(std::all_of(a.begin() + used, a.end(), [](std::byte v) { return v == std::byte{0xaa}; }));
  EXPECT_EQ(bits_per_weight(f, kCols) * double(kCols), 8.0 * double(row_bytes(f, kCols)));
  EXPECT_TRUE(f.block == 0 || row_bytes(f, kCols) == kCols / f.block * f.block_bytes);
}

TEST_P(FormatContract, PutOfTheDecodedChangesNothing) {
  const dim block = f.block ? f.block : kCols;
  for (const auto kind : {Kind::best, Kind::minmax}) {
    const Bytes before = encode(normal_row(6), {.kind = kind});
    const Values y = decode(before);
    Bytes after = before;
    for (dim i = 0; i < kCols; ++i) {
      std::byte* at = after.data() + (f.block ? i / block * f.block_bytes : 0);
      ASSERT_EQ(f.put(f, at, block, i % block, y[std::size_t(i)]), y[std::size_t(i)]) << i;
    }
    ASSERT_EQ(before, after);
  }
}

TEST_P(FormatContract, FitAndPutMatchEncode) {
  const Values x = normal_row(7);
  const dim block = f.block ? f.block : kCols;
  const Bytes expected = encode(x);
  Bytes got(expected.size());
  for (dim b = 0; b < kCols / block; ++b) {
    std::byte* at = got.data() + b * (f.block ? f.block_bytes : 0);
    f.fit(f, x.data() + b * block, nullptr, block, {}, at);
    for (dim j = 0; j < block; ++j) f.put(f, at, block, j, x[std::size_t(b * block + j)]);
  }
  EXPECT_EQ(decode(got), decode(expected));
}

TEST_P(FormatContract, AllZeroImportanceIsEqualWeights) {
  const Values x = normal_row(8), none(kCols, 0.0f), ones(kCols, 1.0f);
  // A format may search longer where weights are given at all.
  const Bytes got = encode(x, {}, none.data());
  EXPECT_TRUE(got == encode(x, {}, ones.data()) || got == encode(x, {}, nullptr));
}

TEST_P(FormatContract, SearchesBeatTheirStart) {
  const Values x = normal_row(9), w = weights_row(10);
  for (const float* weights : {static_cast<const float*>(nullptr), w.data()}) {
    const Values start = decode(encode(x, {.kind = Kind::minmax}, weights));
    const Values best = decode(encode(x, {}, weights));
    EXPECT_LE(norm_error(x, best, weights, 2), norm_error(x, start, weights, 2) * (1 + 1e-5));
    for (const double p : {2.4, 1.0, 2.0}) {
      const Values shrunk = decode(encode(x, {.kind = Kind::lp, .p = p}, weights));
      // The search sums in float32, which may tip near ties.
      EXPECT_LE(norm_error(x, shrunk, weights, p), norm_error(x, start, weights, p) * (1 + 1e-5)) << p;
    }
  }
}

TEST_P(FormatContract, ImportanceIsHeeded) {
  if (plain_floats()) GTEST_SKIP() << "nothing to choose";
  const Values x = normal_row(11), w = weights_row(12);
  EXPECT_LT(norm_error(x, decode(encode(x, {}, w.data())), w.data(), 2),
            norm_error(x, decode(encode(x)), w.data(), 2) * (1 + 1e-5));
}

INSTANTIATE_TEST_SUITE_P(All, FormatContract, testing::ValuesIn(all_formats().begin(), all_formats().end()),
                         [](const auto& it) { return std::string(it.param->name); });

TEST(FormatRegistry, NamesAndTypesAreUnique) {
  std::set<std::string_view> names;
  std::set<int> types;
  for (const Format* f : all_formats()) {
    EXPECT_TRUE(names.insert(f->name).second) << f->name;
    EXPECT_TRUE(f->gguf_type < 0 || types.insert(f->gguf_type).second) << f->name;
    EXPECT_EQ(find_format(f->name), f);
    EXPECT_TRUE(f->fallback.empty() || find_format(f->fallback)) << f->fallback;
  }
}

TEST(FormatRegistry, FallbacksEndWhereAnyRowFits) {
  for (const Format* f : all_formats()) {
    int steps = 0;
    const Format* at = f;
    while (!fits(*at, 7) && steps < 10) at = &format_or_throw(at->fallback), ++steps;
    EXPECT_TRUE(fits(*at, 7)) << f->name;
  }
}

}  // namespace
}  // namespace pith
