#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyCohere, GoldenLogits) { test::check_family("cohere"); }
TEST(FamilyCohere, WithoutHeadNorms) { test::check_family("cohere_plain"); }

}  // namespace pith
