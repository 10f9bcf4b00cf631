#include "eval/window_runner.h"

#include <gtest/gtest.h>

namespace pith {
namespace {

WindowSet windows_of(dim count, dim length, dim first_scored) {
  WindowSet set;
  set.context = length;
  for (dim w = 0; w < count; ++w) {
    Window window;
    window.first_scored = first_scored;
    for (dim i = 0; i < length; ++i) window.tokens.push_back(Token(100 * w + i));
    set.tokens_scored += window.scored();
    set.windows.push_back(window);
  }
  return set;
}

void expect_part(const WindowPart& part, dim window, dim begin, dim end) {
  EXPECT_EQ(part.window, window);
  EXPECT_EQ(part.begin, begin);
  EXPECT_EQ(part.end, end);
}

TEST(WindowSteps, WholeWindowsShareAStep) {
  const WindowSet set = windows_of(3, 8, 5);  // 7 inputs and 3 scored rows each
  const auto steps = plan_steps(set, 15, 100);
  ASSERT_EQ(steps.size(), 2u);
  ASSERT_EQ(steps[0].parts.size(), 2u);
  expect_part(steps[0].parts[1], 1, 0, 7);
  EXPECT_EQ(steps[0].rows, 6);
  EXPECT_EQ(steps[0].tokens, 14);
  EXPECT_EQ(steps[1].first_row, 6);
  EXPECT_EQ(steps[1].rows, 3);
  EXPECT_EQ(windows_ended_by(steps[0], set), 2);
}

TEST(WindowSteps, RowsAreBoundedToo) {
  const auto steps = plan_steps(windows_of(3, 8, 5), 100, 5);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[2].first_row, 6);
}

TEST(WindowSteps, ALargeWindowIsCut) {
  // 7 inputs, of which positions 4, 5, 6 are scored; at most 2 rows: [0, 6) and [6, 7)
  const WindowSet set = windows_of(1, 8, 5);
  const auto steps = plan_steps(set, 100, 2);
  ASSERT_EQ(steps.size(), 2u);
  expect_part(steps[0].parts[0], 0, 0, 6);
  expect_part(steps[1].parts[0], 0, 6, 7);
  EXPECT_EQ(steps[0].rows, 2);
  EXPECT_EQ(steps[1].rows, 1);
  EXPECT_EQ(steps[1].first_row, 2);
  EXPECT_EQ(windows_ended_by(steps[0], set), 0);
  EXPECT_EQ(windows_ended_by(steps[1], set), 1);
}

TEST(WindowSteps, AWindowOfMoreInputsThanAStep) {
  const auto steps = plan_steps(windows_of(1, 8, 1), 3, 100);
  ASSERT_EQ(steps.size(), 3u);
  expect_part(steps[2].parts[0], 0, 6, 7);
}

TEST(WindowSteps, TargetsAndPlaces) {
  const WindowSet set = windows_of(2, 4, 2);
  EXPECT_EQ(scored_targets(set), (std::vector<Token>{2, 3, 102, 103}));
  EXPECT_EQ(scored_sizes(set), (std::vector<dim>{2, 2}));
  const RowPlace place = place_of_row(set, 3);
  EXPECT_EQ(place.window, 1);
  EXPECT_EQ(place.position, 2);  // predicts token 3 of that window
}

}  // namespace
}  // namespace pith
