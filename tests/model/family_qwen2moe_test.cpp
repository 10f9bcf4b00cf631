#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyQwen2Moe, GoldenLogits) { test::check_family("qwen2moe"); }

}  // namespace pith
