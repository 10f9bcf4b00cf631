#include "eval/text.h"

#include <gtest/gtest.h>

#include "core/error.h"
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

TEST(Text, SentencesAreLinesWithoutSpaceAround) {
  EXPECT_EQ(join_sentences(" no it was n't black monday \n but while the <unk>\t\n"),
            "no it was n't black monday but while the <unk>");
  EXPECT_EQ(join_sentences(""), "");
}

TEST(Text, WordsAreCountedAsPythonSplits) {
  // len(re.split(r"\s+", text))
  EXPECT_EQ(count_words("a b  c"), 3);
  EXPECT_EQ(count_words(" a b\n"), 4);
  EXPECT_EQ(count_words(""), 1);
  EXPECT_EQ(count_words("a\u00a0b\u3000c\x1c"
                        "d"),
            4);                           // no-break and ideographic space, a file separator
  EXPECT_EQ(count_words("a\u200bb"), 1);  // a zero-width space is none
  EXPECT_EQ(count_words("a\xff b"), 2);
}

TEST(Text, DocumentsOfJsonLines) {
  const std::string lines = "{\"text\": \"one\\ntwo\"}\n\n{\"text\": \"three\", \"url\": \"u\"}\n{\"text\": \"four\"}";
  EXPECT_EQ(join_documents(lines, "f", " ", 0), "one\ntwo three four");
  EXPECT_EQ(join_documents(lines, "f", "\n\n", 2), "one\ntwo\n\nthree");
  try {
    (void)join_documents("{\"text\": \"a\"}\n{\"body\": 1}\n", "f.jsonl", " ", 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("f.jsonl:2"), std::string::npos) << e.what();
  }
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
