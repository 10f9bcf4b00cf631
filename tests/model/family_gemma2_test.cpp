#include "core/error.h"
#include "model/export.h"
#include "tests/model/family_harness.h"
#include "tests/model/write_plan.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyGemma2, GoldenLogits) { test::check_family("gemma2"); }

TEST(FamilyGemma2, OwnAttentionScaleStaysWithHuggingFace) {
  const auto vectors = test::family_vectors("gemma2_scalar");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path));
  test::expect_golden_logits(m, vectors, "scalar");
  EXPECT_THROW((void)plan_export(m, Container::gguf, test::all_f32(m), "m.gguf"), Error);
}

}  // namespace pith
