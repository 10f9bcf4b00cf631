// The generated parts of the documents are what the program says now.
#include <gtest/gtest.h>

#include "report/catalogue.h"
#include "tests/shared_data.h"

namespace pith::report {
namespace {

std::string below(const char* name, const std::string& marker) {
  const std::string page = test::read_file(std::filesystem::path(PITH_SOURCE_DIR) / "docs" / name);
  const auto at = page.find(marker);
  return at == page.npos ? "no marker in " + page : page.substr(at + marker.size());
}

TEST(Documents, FormatsAreUpToDate) {
  EXPECT_EQ(below("formats.md", "<!-- The table below is written by scripts/docs. -->\n\n"), formats_markdown())
      << "scripts/docs writes it anew";
}

TEST(Documents, MethodsAreUpToDate) {
  EXPECT_EQ(below("methods.md", "<!-- All below is written by scripts/docs. -->\n\n"), methods_markdown())
      << "scripts/docs writes it anew";
}

TEST(Documents, PipelinesAreUpToDate) {
  EXPECT_EQ(below("synthetic.md", "<!-- All below is written by scripts/docs. -->\n\n"), pipelines_markdown())
      << "scripts/docs writes it anew";
}

TEST(Documents, TasksAreUpToDate) {
  EXPECT_EQ(below("evaluation.md", "<!-- The table below is written by scripts/docs. -->\n\n"), tasks_markdown())
      << "scripts/docs writes it anew";
}

}  // namespace
}  // namespace pith::report
