#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyQwen3, GoldenLogits) { test::check_family("qwen3"); }

}  // namespace pith
