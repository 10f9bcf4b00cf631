// Formats whose values share codes: storing a group at once.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {

namespace {

class PutGroup : public ::testing::TestWithParam<const Format*> {};

std::vector<const Format*> formats() {
  std::vector<const Format*> out;
  for (const Format* f : all_formats())
    if (f->put_group) out.push_back(f);
  return out;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& block) {
  std::vector<float> out(std::size_t(f.block));
  f.decode(f, block.data(), f.block, out.data());
  return out;
}

double distance(const float* a, const float* b, const float* w, dim n) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += double(w[i]) * double(a[i] - b[i]) * double(a[i] - b[i]);
  return sum;
}

}  // namespace

// The block's own search left each group at its nearest codes, so no group can come nearer, nor may it go farther.
TEST_P(PutGroup, FindsWhatTheBlockSearchFound) {
  const Format& f = *GetParam();
  Rng rng(1);
  for (int trial = 0; trial < 4; ++trial) {
    std::vector<float> x(std::size_t(f.block)), w(x.size());
    for (float& v : x) v = float(rng.normal());
    for (float& v : w) v = trial % 2 ? 1.0f : float(0.1 + rng.uniform());
    std::vector<std::byte> block(std::size_t(f.block_bytes));
    f.fit(f, x.data(), w.data(), f.block, {}, block.data());
    const std::vector<float> before = decoded(f, block);
    for (dim j = 0; j < f.block; j += f.group) f.put_group(f, block.data(), f.block, j, x.data() + j, w.data() + j);
    const std::vector<float> after = decoded(f, block);
    for (dim j = 0; j < f.block; j += f.group)
      EXPECT_NEAR(distance(x.data() + j, after.data() + j, w.data() + j, f.group),
                  distance(x.data() + j, before.data() + j, w.data() + j, f.group), 1e-4)
          << j;
  }
}

// Whatever other codes a group is given, the nearest are at least as near; and no other group moves.
TEST_P(PutGroup, IsNearerThanAnyOtherCodes) {
  const Format& f = *GetParam();
  Rng rng(2);
  std::vector<float> x(std::size_t(f.block)), w(x.size(), 1.0f);
  for (float& v : x) v = float(rng.normal());
  std::vector<std::byte> block(std::size_t(f.block_bytes));
  f.fit(f, x.data(), nullptr, f.block, {}, block.data());
  for (int trial = 0; trial < 40; ++trial) {
    const dim j = rng.below(f.block / f.group) * f.group;
    float wanted[8], other[8];
    for (dim i = 0; i < f.group; ++i)
      wanted[i] = float(rng.normal()), other[i] = wanted[i] + 0.7f * float(rng.normal());
    std::vector<std::byte> near = block, far = block;
    f.put_group(f, near.data(), f.block, j, wanted, w.data());
    f.put_group(f, far.data(), f.block, j, other, w.data());
    const std::vector<float> a = decoded(f, near), b = decoded(f, far), before = decoded(f, block);
    EXPECT_LE(distance(wanted, a.data() + j, w.data(), f.group),
              distance(wanted, b.data() + j, w.data(), f.group) + 1e-6);
    for (dim i = 0; i < f.block; ++i)
      if (i < j || i >= j + f.group) {
        ASSERT_EQ(a[std::size_t(i)], before[std::size_t(i)]) << i;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PutGroup, ::testing::ValuesIn(formats()),
                         [](const auto& param) { return std::string(param.param->name); });

}  // namespace pith
