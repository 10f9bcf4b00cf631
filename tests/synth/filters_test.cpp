#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "eval/tasks/text_scores.h"
#include "synth/filters/near_duplicates.h"
#include "synth/text.h"

namespace pith::synth {
namespace {

TEST(Text, WordsAndRepetition) {
  EXPECT_EQ(words_of("Don't panic, 2 times: \xc3\xbc"
                     "ber!"),
            (std::vector<std::string>{"don", "t", "panic", "2", "times",
                                      "\xc3\xbc"
                                      "ber"}));
  // 20 words, 17 runs of four; "a b c d" from its second time on: "a b c d a b c d ..." has 4 different runs.
  std::string loop;
  for (int i = 0; i < 5; ++i) loop += "a b c d ";
  EXPECT_DOUBLE_EQ(repetition_of(words_of(loop)), 13.0 / 17.0);
  EXPECT_EQ(repetition_of(words_of("a b c d a b c d a b c d")), 0);  // too short to tell
  EXPECT_EQ(repetition_of(words_of("one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
                                   "fifteen sixteen seventeen")),
            0);
}

TEST(RougePool, IsRougeLWithTheNearest) {
  RougePool pool;
  EXPECT_EQ(pool.nearest("anything", 0.1), 0);
  pool.add("the cat sat on the mat");
  pool.add("a dog barks");
  EXPECT_DOUBLE_EQ(pool.nearest("The cat on the mat!", 0.5), 10.0 / 11.0);  // 5 of 5 and 5 of 6 words
  EXPECT_DOUBLE_EQ(pool.nearest("a dog sleeps", 0.5), 2.0 / 3.0);
  EXPECT_EQ(pool.nearest("a dog sleeps", 0.7), 0);
  EXPECT_EQ(pool.nearest("mat the on sat cat the", 0.7), 0);  // the words of one, but not in order
  EXPECT_EQ(pool.nearest("", 0.1), 0);
}

TEST(RougePool, LeavesNothingOutThatIsNear) {
  const char* words[] = {"red", "ball", "runs", "fast", "over", "green"};
  Rng rng(3);
  const auto draw = [&] {
    std::string text;
    for (dim n = 1 + rng.below(9); n > 0; --n) text += std::string(words[rng.below(6)]) + " ";
    return text;
  };
  RougePool pool;
  std::vector<std::string> all;
  for (int i = 0; i < 300; ++i) {
    const std::string text = draw();
    double best = 0;
    for (const std::string& other : all) best = std::max(best, rouge_l(text, other));
    EXPECT_NEAR(pool.nearest(text, 0.6), best >= 0.6 ? best : 0, 1e-12) << text;
    pool.add(text);
    all.push_back(text);
  }
}

TEST(Shingles, AreRunsOfFiveCharacters) {
  EXPECT_EQ(shingles("abcdef").size(), 2u);
  EXPECT_EQ(shingles("AB  cd\ne"), shingles("ab cd e"));
  EXPECT_EQ(shingles("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4\xc3\xb6").size(), 2u);  // six characters
  EXPECT_EQ(shingles("").size(), 1u);
  // abcde bcdef | bcdef cdefg: one of three
  EXPECT_DOUBLE_EQ(jaccard(shingles("abcdef"), shingles("bcdefg")), 1.0 / 3.0);
  EXPECT_EQ(jaccard(shingles("abcdef"), shingles("ABCDEF")), 1);
}

TEST(MinHash, BandsAreAsLongAsTheThresholdAllows) {
  // (1 - t^r)^(128 / r) <= 0.001: for 0.8 and r = 4, 0.5904^32 = 5e-8; for r = 8, 0.8322^16 = 0.053.
  EXPECT_EQ(MinHashIndex(0.8).rows(), 4);
  EXPECT_EQ(MinHashIndex(0.95).rows(), 8);
  EXPECT_EQ(MinHashIndex(0.5).rows(), 2);
  EXPECT_EQ(MinHashIndex(1).rows(), 32);
}

TEST(MinHash, FindsTheNearAndNothingElse) {
  MinHashIndex index(0.6);
  std::vector<std::uint64_t> set;
  for (std::uint64_t i = 0; i < 100; ++i) set.push_back(mix64(1, i));
  std::sort(set.begin(), set.end());
  index.add(set);
  std::vector<std::uint64_t> near(set.begin(), set.begin() + 80);  // 80 of 100: 0.8
  EXPECT_DOUBLE_EQ(index.nearest(near), 0.8);
  std::vector<std::uint64_t> far(set.begin(), set.begin() + 50);
  EXPECT_EQ(index.nearest(far), 0);
}

TEST(NearDuplicates, EachKindDropsItsOwn) {
  const auto dropped = [](const char* how, const std::vector<std::string>& texts) {
    NearDuplicates filter(duplicate_choice(how));
    std::string out;
    for (const std::string& t : texts) out += filter.check(t).empty() ? "k" : "d";
    return out;
  };
  const std::vector<std::string> texts = {
      "Name the planets of the solar system in order.", "name  the planets of the SOLAR system in order.",
      "Name the planets of the solar system in order!", "How do I bake bread without an oven at home?"};
  EXPECT_EQ(dropped("none", texts), "kkkk");
  EXPECT_EQ(dropped("exact", texts), "kdkk");
  EXPECT_EQ(dropped("minhash:0.8", texts), "kddk");
  EXPECT_EQ(dropped("rouge:0.7", texts), "kddk");
  for (const char* bad : {"", "exact:1", "minhash:0", "minhash:2", "rouge:x", "fuzzy"})
    EXPECT_THROW(duplicate_choice(bad), Error) << bad;
}

}  // namespace
}  // namespace pith::synth
