// Every instruction set gives the same bits, and rounding agrees with core/half.h on all of float16.
#include "kernels/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "kernels/decode.h"

namespace pith::kernels {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}
#define PITH_NEED_AVX2() \
  if (!has_avx2()) GTEST_SKIP() << "this machine has no AVX2"

constexpr float kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

std::vector<float> row(std::uint64_t seed, dim n) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  const double sigma = std::exp(4 * rng.normal()), shift = seed % 3 ? 0 : sigma;
  for (float& v : x) v = float(rng.normal() * sigma + shift);
  if (seed % 5 == 0) x[0] *= 30;
  return x;
}

bool same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

TEST(SearchKernels, ScalarAndAvx2Agree) {
  PITH_NEED_AVX2();
  const auto &s = search_kernels(Isa::scalar), &v = search_kernels(Isa::avx2);
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    for (const dim n : {dim(32), dim(64), dim(256)}) {
      const auto x = row(seed, n);
      auto w = row(seed + 1000, n);
      for (float& value : w) value *= value;
      for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(w.data())})
        for (const Aim aim : {Aim::best, Aim::minmax, Aim::lp}) {
          const SearchPlan plan = {aim, 2.4f, 20, int(seed % 2) * 9};
          const auto* p = x.data();
          ASSERT_TRUE(same(s.signed_scale(p, weights, n, -8, plan), v.signed_scale(p, weights, n, -8, plan))) << seed;
          ASSERT_TRUE(same(s.even_scale(p, weights, n, 1, plan), v.even_scale(p, weights, n, 1, plan))) << seed;
          const auto zs = s.zero_point(p, weights, n, 15, plan), zv = v.zero_point(p, weights, n, 15, plan);
          ASSERT_TRUE(same(zs.scale, zv.scale) && zs.zero == zv.zero) << seed;
          if (n != 32) continue;
          const auto as = s.affine(p, weights, n, 15, plan), av = v.affine(p, weights, n, 15, plan);
          ASSERT_TRUE(same(as.scale, av.scale) && same(as.min, av.min)) << seed;
          const SearchPlan some = {aim, 2.4f, 20, 7};
          ASSERT_TRUE(same(s.table_scale(p, weights, n, kTable, some), v.table_scale(p, weights, n, kTable, some)));
          ASSERT_EQ(s.mx_exponent(p, weights, n, plan), v.mx_exponent(p, weights, n, plan)) << seed;
        }
    }
}

TEST(SearchKernels, CodesAgreeAndAreNearest) {
  const auto& s = search_kernels(Isa::scalar);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto x = row(seed, 32);
    std::uint8_t a[32], b[32];
    s.table_codes(x.data(), 32, 0.01f, kTable, a);
    for (int i = 0; i < 32; ++i)
      for (const float t : kTable)
        ASSERT_LE(std::abs(x[i] - kTable[a[i]] * 0.01f), std::abs(x[i] - t * 0.01f) * 1.00001f);
    if (!has_avx2()) continue;
    search_kernels(Isa::avx2).table_codes(x.data(), 32, 0.01f, kTable, b);
    ASSERT_EQ(std::memcmp(a, b, 32), 0);
    s.mx_codes(x.data(), 32, -3, a);
    search_kernels(Isa::avx2).mx_codes(x.data(), 32, -3, b);
    ASSERT_EQ(std::memcmp(a, b, 32), 0);
    s.codes(x.data(), 29, 0.02f, 0.5f, -8, 7, a);
    search_kernels(Isa::avx2).codes(x.data(), 29, 0.02f, 0.5f, -8, 7, b);
    ASSERT_EQ(std::memcmp(a, b, 29), 0);
  }
}

TEST(DecodeKernels, Float16IsThatOfCore) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = std::uint16_t(i);
  for (const Isa isa : {Isa::scalar, Isa::avx2}) {
    if (isa == Isa::avx2 && !has_avx2()) continue;
    const auto& k = decode_kernels(isa);
    std::vector<float> wide(all.size());
    k.f16(reinterpret_cast<const std::byte*>(all.data()), dim(all.size()), wide.data());
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_TRUE(same(wide[i], f16_to_f32(all[i]))) << i;
    std::vector<std::uint16_t> back(all.size());
    k.to_f16(wide.data(), dim(wide.size()), reinterpret_cast<std::byte*>(back.data()));
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(back[i], f32_to_f16(wide[i])) << i;
  }
}

TEST(DecodeKernels, RoundingOf32BitsIsThatOfCore) {
  constexpr dim kCount = 1 << 16;
  std::vector<float> x(kCount);
  for (dim i = 0; i < kCount; ++i) {
    const auto bits = std::uint32_t(mix64(1, std::uint64_t(i)));
    std::memcpy(&x[std::size_t(i)], &bits, sizeof bits);
  }
  for (const Isa isa : {Isa::scalar, Isa::avx2}) {
    if (isa == Isa::avx2 && !has_avx2()) continue;
    std::vector<std::uint16_t> h(kCount), b(kCount);
    decode_kernels(isa).to_f16(x.data(), kCount, reinterpret_cast<std::byte*>(h.data()));
    decode_kernels(isa).to_bf16(x.data(), kCount, reinterpret_cast<std::byte*>(b.data()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(h[i], f32_to_f16(x[i])) << x[i];
      ASSERT_EQ(b[i], f32_to_bf16(x[i])) << x[i];
    }
  }
}

}  // namespace
}  // namespace pith::kernels
