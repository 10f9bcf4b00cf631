#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyLlama, GoldenLogits) { test::check_family("llama"); }

}  // namespace pith
