// The lattice formats against the reference encoder's blocks, and what every block they write must be.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "formats/format.h"
#include "kernels/codebook.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr dim kRows = 15, kCols = 512;

struct LatticeCase {
  const char* name;
  kernels::Lattice kind;
  double bits;
  int gguf_type;
  double worst_ratio;  // of our squared error to the reference's on the row of normal values
};
constexpr LatticeCase kCases[] = {
    {"iq3_s", kernels::Lattice::iq3_s, 3.4375, 21, 0.8},     {"iq3_xxs", kernels::Lattice::iq3_xxs, 3.0625, 18, 0.72},
    {"iq2_s", kernels::Lattice::iq2_s, 2.5625, 22, 0.86},    {"iq2_xs", kernels::Lattice::iq2_xs, 2.3125, 17, 0.75},
    {"iq2_xxs", kernels::Lattice::iq2_xxs, 2.0625, 16, 0.6}, {"iq1_m", kernels::Lattice::iq1_m, 1.75, 29, 0.82},
    {"iq1_s", kernels::Lattice::iq1_s, 1.5625, 19, 0.87}};

template <class T>
std::vector<T> read_all(const std::filesystem::path& path) {
  const std::string text = test::read_file(path);
  std::vector<T> values(text.size() / sizeof(T));
  std::memcpy(values.data(), text.data(), values.size() * sizeof(T));
  return values;
}

std::vector<std::byte> encoded(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r = {}) {
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, n)));
  f.encode(f, x, w, n, r, bytes.data());
  return bytes;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& bytes, dim n) {
  std::vector<float> out(std::size_t(n), -1.0f);
  f.decode(f, bytes.data(), n, out.data());
  return out;
}

double error(const float* x, const float* y, const float* w, dim n) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += (w ? double(w[i]) : 1.0) * (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum;
}

struct Random {
  std::vector<float> x, w;
  Random(dim n, std::uint64_t seed, float width = 1) : x(std::size_t(n)), w(std::size_t(n)) {
    Rng rng(seed);
    for (float& v : x) v = width * float(rng.normal());
    for (float& v : w) v = float(std::exp(2 * rng.normal()));
  }
};

class IqFormat : public testing::TestWithParam<LatticeCase> {
 protected:
  const Format& format() const { return format_or_throw(GetParam().name); }
  // Whether the reference wrote a variant ("" or ".imat"); it refuses its smallest types without importance.
  bool has(const std::filesystem::path& folder, const std::string& variant) const {
    return std::filesystem::exists(folder / (GetParam().name + variant + ".blocks"));
  }
  std::filesystem::path file(const std::filesystem::path& folder, const std::string& suffix) const {
    return folder / (GetParam().name + suffix);
  }
};
INSTANTIATE_TEST_SUITE_P(All, IqFormat, testing::ValuesIn(kCases),
                         [](const auto& it) { return std::string(it.param.name); });

TEST_P(IqFormat, IsWhatTheFilesSay) {
  const Format& f = format();
  EXPECT_EQ(bits_per_weight(f, 2048), GetParam().bits);
  EXPECT_EQ(f.gguf_type, GetParam().gguf_type);
  EXPECT_EQ(f.fallback, "iq4_nl");
  EXPECT_FALSE(fits(f, 576));
}

TEST_P(IqFormat, DecodesGoldenBlocksBitForBit) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  int seen = 0;
  for (const std::string variant : {"", ".imat"}) {
    if (!has(folder, variant)) continue;
    ++seen;
    const auto bytes = read_all<std::byte>(file(folder, variant + ".blocks"));
    const auto expected = read_all<float>(file(folder, variant + ".deq.f32"));
    ASSERT_EQ(dim(expected.size()), kRows * kCols);
    ASSERT_EQ(dim(bytes.size()), row_bytes(format(), kRows * kCols));
    const auto values = decoded(format(), bytes, kRows * kCols);
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), expected.size() * sizeof(float)), 0) << variant;
  }
  EXPECT_GE(seen, 1);
}

TEST_P(IqFormat, NoGoldenRowHasALargerErrorThanTheReference) {
  PITH_NEED_DATA(folder, "gguf_block_golden");
  const auto inputs = read_all<float>(folder / "inputs.f32"), importance = read_all<float>(folder / "imatrix.f32");
  ASSERT_EQ(dim(inputs.size()), kRows * kCols);
  for (const std::string variant : {"", ".imat"}) {
    if (!has(folder, variant)) continue;
    const float* w = variant.empty() ? nullptr : importance.data();
    const auto reference = read_all<float>(file(folder, variant + ".deq.f32"));
    for (dim r = 0; r < kRows; ++r) {
      const float* x = inputs.data() + r * kCols;
      const auto y = decoded(format(), encoded(format(), x, w, kCols), kCols);
      const double ours = error(x, y.data(), w, kCols), theirs = error(x, reference.data() + r * kCols, w, kCols);
      EXPECT_LE(ours, theirs) << variant << " row " << r;
      EXPECT_TRUE(r != 0 || ours <= GetParam().worst_ratio * theirs) << variant << " " << ours / theirs;
    }
  }
}

// Decoding reads any bytes; where the scale is finite so are the values.
TEST_P(IqFormat, DecodesAnyBytes) {
  Rng rng(3);
  std::vector<std::byte> bytes(std::size_t(row_bytes(format(), 256)));
  for (int round = 0; round < 200; ++round) {
    for (auto& b : bytes) b = std::byte(rng.next() & 255);
    if (GetParam().kind == kernels::Lattice::iq1_m)
      bytes[55] &= std::byte(0x3f);  // the top of d
    else
      bytes[1] &= std::byte(0x3f);
    const auto y = decoded(format(), bytes, 256);
    for (const float v : y) ASSERT_TRUE(std::isfinite(v));
    // And what was read is what a change of nothing writes back.
    auto copy = bytes;
    for (dim j = 0; j < 256; ++j)
      ASSERT_EQ(format().put(format(), copy.data(), 256, j, y[std::size_t(j)]), y[std::size_t(j)]);
    ASSERT_EQ(copy, bytes);
  }
}

// The nearest point by trying all, with all signs, on the steps of the block.
double least_group_error(const kernels::LatticeFacts& facts, float step, const float* x, const float* w, bool down) {
  const kernels::Codebook& book = facts.book;
  double total = 0, flip = 1e300;
  for (int part = 0; part < 8 / book.length; ++part) {
    double least = 1e300, flipped = 1e300;
    for (int p = 0; p < book.count; ++p) {
      double sum = 0, extra = 1e300;
      for (int i = 0; i < book.length; ++i) {
        const double g = book.rows[p * book.length + i], v = x[part * book.length + i];
        const double weight = w ? double(w[part * book.length + i]) : 1.0;
        const double y = facts.signed_levels ? step * (g + (down ? -0.125 : 0.125)) : step * g;
        const double a = facts.signed_levels ? v : std::fabs(v);
        sum += weight * (a - y) * (a - y);
        extra = std::min(extra, weight * ((a + y) * (a + y) - (a - y) * (a - y)));
      }
      least = std::min(least, sum);
      flipped = std::min(flipped, sum + extra);
    }
    flip = std::min(flip, flipped - least);
    total += least;
  }
  int negative = 0;
  for (int i = 0; i < 8; ++i) negative += x[i] < 0;
  return facts.even_signs && negative % 2 ? total + flip : total;
}

TEST_P(IqFormat, EveryGroupHasItsNearestPoint) {
  const kernels::LatticeFacts& facts = kernels::facts_of(GetParam().kind);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Random data(256, seed);
    const float* w = seed == 2 ? nullptr : data.w.data();
    kernels::LatticeBlock block;
    kernels::lattice_kernels().encode(GetParam().kind, data.x.data(), w, {}, &block);
    float y[256];
    kernels::lattice_kernels().values(GetParam().kind, &block, y);
    for (int g = 0; g < 32; ++g) {
      const float step = step_of(facts, f16_to_f32(block.d), block.scale[8 * g / facts.sub]);
      const float* weights = w ? w + 8 * g : nullptr;
      const double least =
          least_group_error(facts, step, data.x.data() + 8 * g, weights, block.group[g].shift_down != 0);
      EXPECT_LE(error(data.x.data() + 8 * g, y + 8 * g, weights, 8), least * (1 + 1e-5)) << seed << " group " << g;
    }
  }
}

// A small change of the step or of any scale does not help.
TEST_P(IqFormat, ScalesAreALocalBest) {
  const Random data(256, 4);
  const kernels::LatticeFacts& facts = kernels::facts_of(GetParam().kind);
  kernels::LatticeBlock block;
  float y[256];
  for (const float* w : {static_cast<const float*>(nullptr), data.w.data()}) {
    kernels::lattice_kernels().encode(GetParam().kind, data.x.data(), w, {}, &block);
    kernels::lattice_kernels().values(GetParam().kind, &block, y);
    const double least = error(data.x.data(), y, w, 256);
    for (int s = 0; s < 256 / facts.sub; ++s)
      for (const int move : {-1, 1}) {
        kernels::LatticeBlock moved = block;
        if (block.scale[s] + move < 0 || block.scale[s] + move >= facts.scales) continue;
        moved.scale[s] = std::uint8_t(block.scale[s] + move);
        kernels::lattice_kernels().values(GetParam().kind, &moved, y);
        EXPECT_GE(error(data.x.data(), y, w, 256), least * (1 - 1e-5)) << s;
      }
    for (const int move : {-4, -1, 1, 4}) {
      kernels::LatticeBlock moved = block;
      moved.d = std::uint16_t(block.d + move);
      kernels::lattice_kernels().values(GetParam().kind, &moved, y);
      EXPECT_GE(error(data.x.data(), y, w, 256), least * (1 - 1e-4)) << move;
    }
  }
}

TEST_P(IqFormat, BothInstructionSetsGiveTheSameBytes) {
  if (active_isa() != Isa::avx2) GTEST_SKIP() << "this machine has one instruction set only";
  for (const auto aim : {kernels::Aim::best, kernels::Aim::minmax, kernels::Aim::lp}) {
    kernels::SearchPlan plan;
    plan.aim = aim;
    plan.steps = 10;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const Random data(256, seed, seed % 2 ? 1e-3f : 1.0f);
      kernels::LatticeBlock a, b;
      const float* w = seed % 3 ? data.w.data() : nullptr;
      kernels::lattice_kernels(Isa::scalar).encode(GetParam().kind, data.x.data(), w, plan, &a);
      kernels::lattice_kernels(Isa::avx2).encode(GetParam().kind, data.x.data(), w, plan, &b);
      ASSERT_EQ(std::memcmp(&a, &b, sizeof a), 0) << int(aim) << " " << seed;
      float u[256], v[256];
      kernels::lattice_kernels(Isa::scalar).values(GetParam().kind, &a, u);
      kernels::lattice_kernels(Isa::avx2).values(GetParam().kind, &a, v);
      ASSERT_EQ(std::memcmp(u, v, sizeof u), 0);
    }
  }
}

// put stores the nearest value that one element can take while the seven beside it stay as they are.
TEST_P(IqFormat, PutMovesOneValueOnly) {
  const Random data(256, 9);
  auto block = encoded(format(), data.x.data(), nullptr, 256);
  int moved = 0;
  for (dim j = 0; j < 256; j += 3) {
    const auto before = decoded(format(), block, 256);
    const float stored = format().put(format(), block.data(), 256, j, 2 * data.x[std::size_t(j)] + 0.1f);
    const auto after = decoded(format(), block, 256);
    EXPECT_EQ(after[std::size_t(j)], stored);
    const float wanted = 2 * data.x[std::size_t(j)] + 0.1f;
    EXPECT_LE(std::fabs(stored - wanted), std::fabs(before[std::size_t(j)] - wanted));
    moved += stored != before[std::size_t(j)];
    for (dim i = 0; i < 256; ++i) {
      if (i != j) {
        ASSERT_EQ(after[std::size_t(i)], before[std::size_t(i)]) << i << " with " << j;
      }
    }
  }
  EXPECT_GE(moved, 1);  // points that differ in one coordinate are rare
}

TEST_P(IqFormat, ConstantsAreNear) {
  for (const float c : {0.5f, -0.5f, 3.3f, -20000.0f}) {
    const std::vector<float> x(256, c);
    for (const float v : decoded(format(), encoded(format(), x.data(), nullptr, 256), 256))
      EXPECT_NEAR(v, c, 1.5e-3 * std::fabs(double(c)));
  }
}

}  // namespace
}  // namespace pith
