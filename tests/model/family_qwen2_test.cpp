#include "core/error.h"
#include "model/export.h"
#include "tests/model/family_harness.h"
#include "tests/model/write_plan.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyQwen2, GoldenLogits) { test::check_family("qwen2"); }

TEST(FamilyQwen2, WindowStaysWithHuggingFace) {
  const auto vectors = test::family_vectors("qwen2_window");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path));
  test::expect_golden_logits(m, vectors, "window");
  EXPECT_THROW((void)plan_export(m, Container::gguf, test::all_f32(m), "m.gguf"), Error);
}

// Layers from max_window_layers on have the window: neither all nor none nor every n-th.
TEST(FamilyQwen2, MixedWindowsAreRefused) {
  auto vectors = test::family_vectors("qwen2_window");
  vectors["config"].erase("layer_types");
  vectors["config"]["max_window_layers"] = 1;
  const test::TempFolder out;
  const auto folder = test::write_family(vectors, out.path);
  EXPECT_THROW((void)Model::open(folder), Error);
}

}  // namespace pith
