#include "core/error.h"
#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyStableLm, GoldenLogits) { test::check_family("stablelm"); }
TEST(FamilyStableLm, ParallelBlocks) { test::check_family("stablelm_parallel"); }

TEST(FamilyStableLm, NormsByHeadAreNamed) {
  auto vectors = test::family_vectors("stablelm");
  vectors["config"]["qk_layernorm"] = true;
  const test::TempFolder out;
  const auto folder = test::write_family(vectors, out.path);
  try {
    (void)Model::open(folder);
    FAIL() << "opened";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("qk_layernorm"), std::string::npos);
  }
}

}  // namespace pith
