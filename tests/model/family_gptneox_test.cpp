#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyGptNeox, GoldenLogits) { test::check_family("gptneox"); }
TEST(FamilyGptNeox, OneAfterAnother) { test::check_family("gptneox_sequential"); }

}  // namespace pith
