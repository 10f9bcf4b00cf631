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

// Of a block; rows that are one block are this long.
dim size_of(const Format& f) { return f.block ? f.block : 256; }

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& block) {
  std::vector<float> out(static_cast<std::size_t>(size_of(f)));
  f.decode(f, block.data(), size_of(f), out.data());
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
    std::vector<float> x(std::size_t(size_of(f))), w(x.size());
    for (float& v : x) v = float(rng.normal());
    for (float& v : w) v = trial % 2 ? 1.0f : float(0.1 + rng.uniform());
    std::vector<std::byte> block(std::size_t(row_bytes(f, size_of(f))));
    f.fit(f, x.data(), w.data(), size_of(f), {}, block.data());
    const std::vector<float> before = decoded(f, block);
    std::vector<float> told(x.size());
    for (dim j = 0; j < size_of(f); j += f.group)
      f.put_group(f, block.data(), size_of(f), j, x.data() + j, w.data() + j, told.data() + j);
    const std::vector<float> after = decoded(f, block);
    EXPECT_EQ(told, after);
    for (dim j = 0; j < size_of(f); j += f.group)
      EXPECT_NEAR(distance(x.data() + j, after.data() + j, w.data() + j, f.group),
                  distance(x.data() + j, before.data() + j, w.data() + j, f.group), 1e-4)
          << j;
  }
}

// Whatever other codes a group is given, the nearest are at least as near; and no other group moves.
TEST_P(PutGroup, IsNearerThanAnyOtherCodes) {
  const Format& f = *GetParam();
  Rng rng(2);
  std::vector<float> x(std::size_t(size_of(f))), w(x.size(), 1.0f);
  for (float& v : x) v = float(rng.normal());
  std::vector<std::byte> block(std::size_t(row_bytes(f, size_of(f))));
  f.fit(f, x.data(), nullptr, size_of(f), {}, block.data());
  for (int trial = 0; trial < 40; ++trial) {
    const dim j = rng.below(size_of(f) / f.group) * f.group;
    float wanted[8], other[8];
    for (dim i = 0; i < f.group; ++i)
      wanted[i] = float(rng.normal()), other[i] = wanted[i] + 0.7f * float(rng.normal());
    std::vector<std::byte> near = block, far = block;
    float told[8];
    f.put_group(f, near.data(), size_of(f), j, wanted, w.data(), told);
    f.put_group(f, far.data(), size_of(f), j, other, w.data(), told);
    const std::vector<float> a = decoded(f, near), b = decoded(f, far), before = decoded(f, block);
    EXPECT_LE(distance(wanted, a.data() + j, w.data(), f.group),
              distance(wanted, b.data() + j, w.data(), f.group) + 1e-6);
    for (dim i = 0; i < size_of(f); ++i)
      if (i < j || i >= j + f.group) {
        ASSERT_EQ(a[std::size_t(i)], before[std::size_t(i)]) << i;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PutGroup, ::testing::ValuesIn(formats()),
                         [](const auto& param) { return std::string(param.param->name); });

}  // namespace pith
