#include "core/error.h"
#include "model/export.h"
#include "tests/model/family_harness.h"
#include "tests/model/write_plan.h"
#include "tests/shared_data.h"

namespace pith {

namespace {

std::string fault_of(const nlohmann::json& vectors) {
  const test::TempFolder out;
  const auto folder = test::write_family(vectors, out.path);
  try {
    (void)Model::open(folder);
  } catch (const Error& e) {
    return e.what();
  }
  return "opened";
}

}  // namespace

TEST(FamilyOpt, GoldenLogits) {
  const auto vectors = test::family_vectors("opt");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path / "hf"));
  test::expect_golden_logits(m, vectors, "opt");
  const auto plan = plan_export(m, Container::hf, test::all_f32(m), "copy");
  const Model copy = Model::open(test::write_plan(m, plan, out.path / "copy"));
  test::expect_golden_tensors(copy, vectors);
  EXPECT_THROW((void)plan_export(m, Container::gguf, test::all_f32(m), "m.gguf"), Error);
}

TEST(FamilyOpt, NamesWithoutPrefix) {
  auto vectors = test::family_vectors("opt");
  const test::TempFolder out;
  const auto folder = test::write_family(vectors, out.path, "model.");
  test::expect_golden_logits(Model::open(folder), vectors, "decoder...");
}

TEST(FamilyOpt, The350MIsNamed) {
  auto vectors = test::family_vectors("opt");
  vectors["config"]["word_embed_proj_dim"] = 32;
  EXPECT_NE(fault_of(vectors).find("word_embed_proj_dim"), std::string::npos);
  vectors = test::family_vectors("opt");
  vectors["config"]["do_layer_norm_before"] = false;
  EXPECT_NE(fault_of(vectors).find("do_layer_norm_before"), std::string::npos);
}

}  // namespace pith
