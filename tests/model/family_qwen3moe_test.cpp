#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyQwen3Moe, GoldenLogits) { test::check_family("qwen3moe"); }

}  // namespace pith
