#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyPhi3, GoldenLogits) { test::check_family("phi3"); }
TEST(FamilyPhi3, ShortFactorsOfPartialRotation) { test::check_family("phi3_short"); }
TEST(FamilyPhi3, LongFactors) { test::check_family("phi3_long"); }

}  // namespace pith
