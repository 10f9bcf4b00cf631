#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyGranite, GoldenLogits) { test::check_family("granite"); }

}  // namespace pith
