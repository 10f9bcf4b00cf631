#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyGemma3, GoldenLogits) { test::check_family("gemma3"); }

// The spelling of newer config.json files: one rotation for each kind of layer.
TEST(FamilyGemma3, RotationsByKindOfLayer) {
  auto vectors = test::family_vectors("gemma3");
  auto& config = vectors["config"];
  config["rope_parameters"] = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", config["rope_theta"]}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 100.0}}}};
  for (const char* key : {"rope_theta", "rope_scaling", "rope_local_base_freq"}) config.erase(key);
  const test::TempFolder out;
  test::expect_golden_logits(Model::open(test::write_family(vectors, out.path)), vectors, "rope_parameters");
}

}  // namespace pith
