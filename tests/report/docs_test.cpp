// The generated parts of the documents are what the program says now.
#include <gtest/gtest.h>

#include "report/catalogue.h"
#include "tests/shared_data.h"

namespace pith::report {
namespace {

TEST(Documents, FormatsAreUpToDate) {
  const std::string page = test::read_file(std::filesystem::path(PITH_SOURCE_DIR) / "docs" / "formats.md");
  const std::string marker = "<!-- The table below is written by scripts/docs. -->\n\n";
  const auto at = page.find(marker);
  ASSERT_NE(at, page.npos);
  EXPECT_EQ(page.substr(at + marker.size()), formats_markdown()) << "scripts/docs writes it anew";
}

}  // namespace
}  // namespace pith::report
