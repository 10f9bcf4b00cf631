#include "core/error.h"
#include "model/export.h"
#include "tests/model/family_harness.h"
#include "tests/model/write_plan.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyFalcon, GoldenLogits) { test::check_family("falcon"); }
TEST(FamilyFalcon, GroupsAndTwoNorms) { test::check_family("falcon_grouped"); }

TEST(FamilyFalcon, SequentialStaysWithHuggingFace) {
  const auto vectors = test::family_vectors("falcon_sequential");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path));
  test::expect_golden_logits(m, vectors, "sequential");
  EXPECT_THROW((void)plan_export(m, Container::gguf, test::all_f32(m), "m.gguf"), Error);
}

TEST(FamilyFalcon, AlibiIsNamed) {
  auto vectors = test::family_vectors("falcon");
  vectors["config"]["alibi"] = true;
  const test::TempFolder out;
  const auto folder = test::write_family(vectors, out.path);
  try {
    (void)Model::open(folder);
    FAIL() << "opened";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("alibi"), std::string::npos);
  }
}

}  // namespace pith
