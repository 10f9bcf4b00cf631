#include "eval/text.h"

#include <gtest/gtest.h>

#include "tests/shared_data.h"

namespace pith {
namespace {

TEST(Text, BlankLinesAreEmptyRows) {
  const auto rows = text_rows(" \n = A = \n \n a b \nlast");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0], "");
  EXPECT_EQ(rows[1], " = A = \n");
  EXPECT_EQ(rows[2], "");
  EXPECT_EQ(rows[3], " a b \n");
  EXPECT_EQ(rows[4], "last");
}

TEST(Text, RowsJoinedByTwoNewlines) {
  EXPECT_EQ(join_rows(" \n = A = \n \n a b \n", "\n\n"), "\n\n = A = \n\n\n\n\n a b \n");
  EXPECT_EQ(join_rows("", "\n\n"), "");
}

TEST(Text, WikiTextTestRows) {
  PITH_NEED_DATA(path, "text/wikitext2.test.raw");
  const std::string raw = test::read_file(path);
  const auto rows = text_rows(raw);
  ASSERT_EQ(rows.size(), 4358u);  // the data set's row count
  EXPECT_EQ(rows[0], "");
  EXPECT_EQ(rows[1], " = Robert Boulter = \n");
  EXPECT_EQ(rows[2], "");
  const std::string joined = join_rows(raw, "\n\n");
  EXPECT_TRUE(joined.starts_with("\n\n = Robert Boulter = \n\n\n\n\n Robert Boulter is an English film"));
}

}  // namespace
}  // namespace pith
