#include "report/table.h"

#include <gtest/gtest.h>

namespace pith::report {
namespace {

const Table kTable{.columns = {{"format", false}, {"bits", true}, {"note", false}},
                   .rows = {{"q4_0", "4.5", "a|b"}, {"int4_g128", "4.125", ""}, {"±", "16", "é x"}}};

TEST(TextTable, ColumnsAreAligned) {
  EXPECT_EQ(text_table(kTable),
            "format      bits  note\n"
            "q4_0         4.5  a|b\n"
            "int4_g128  4.125\n"
            "±             16  é x\n");
}

TEST(MarkdownTable, BarsAreEscaped) {
  EXPECT_EQ(markdown_table(kTable),
            "| format | bits | note |\n"
            "|---|---:|---|\n"
            "| q4_0 | 4.5 | a\\|b |\n"
            "| int4_g128 | 4.125 |  |\n"
            "| ± | 16 | é x |\n");
}

TEST(Facts, ValuesShareAColumn) {
  EXPECT_EQ(text_facts({{"size", "91.2 MB"}, {"bits per weight", "4.5"}}),
            "size             91.2 MB\n"
            "bits per weight  4.5\n");
}

}  // namespace
}  // namespace pith::report
