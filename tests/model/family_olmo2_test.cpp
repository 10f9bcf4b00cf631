#include <gtest/gtest.h>

#include "tests/model/family_harness.h"

namespace pith {

TEST(FamilyOlmo2, GoldenLogits) { test::check_family("olmo2"); }

}  // namespace pith
