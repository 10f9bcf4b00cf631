#include "tests/model/family_harness.h"
#include "tests/shared_data.h"

namespace pith {

TEST(FamilyMixtral, GoldenLogits) { test::check_family("mixtral"); }

}  // namespace pith
