// Models in another basis compute the same.
#include "model/rotate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "formats/format.h"
#include "model/forward.h"
#include "tests/model/family_harness.h"
#include "tests/model/same_logits.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith::test {
namespace {

class RotateFamily : public testing::TestWithParam<const char*> {};

TEST_P(RotateFamily, LogitsStay) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  const auto before = logits_of(model);
  for (const bool heads : {false, true})
    for (const bool down : {false, true}) {
      const Model turned = rotated_model(model, {.seed = 3, .heads = heads, .down = down});
      EXPECT_EQ(turned.config().rotated_down, down);
      EXPECT_FALSE(turned.config().tied_embeddings);
      for (const Block& b : turned.blocks()) EXPECT_EQ(b.attn_norm.weight[0], model.config().norm_plus_one ? 0 : 1);
      expect_same(before, logits_of(turned), std::string(GetParam()) + (heads ? " heads" : "") + (down ? " down" : ""),
                  1e-4);  // roundings of f32 in another basis
    }
}

INSTANTIATE_TEST_SUITE_P(Families, RotateFamily,
                         testing::Values("llama", "qwen2", "qwen3", "phi3", "granite", "mixtral", "qwen2moe",
                                         "qwen3moe"));

TEST(Rotate, WhatHasNoSuchBasisIsRefused) {
  for (const char* name : {"gpt2", "gemma2", "olmo2", "opt"}) {
    const TempFolder temp;
    const Model model = Model::open(write_family(family_vectors(name), temp.path / "in"));
    EXPECT_THROW((void)rotated_model(model, {}), Error) << name;
  }
}

TEST(Rotate, TheBasisIsAnotherAndNothingIsTurnedTwice) {
  const TempFolder temp;
  const Model model = Model::open(WrittenModel().write(temp.path / "in"));
  const Model a = rotated_model(model, {.seed = 1}), b = rotated_model(model, {.seed = 2});
  const auto first = [](const Model& m) {
    const Encoded& w = m.find(Role::ffn_up, 0)->weight;
    std::vector<float> row(static_cast<std::size_t>(w.cols));
    w.format->decode(*w.format, w.data, w.cols, row.data());
    return row;
  };
  EXPECT_NE(first(model), first(a));
  EXPECT_NE(first(a), first(b));
}

}  // namespace
}  // namespace pith::test
