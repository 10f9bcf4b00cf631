#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "report/chart/charts.h"
#include "report/chart/plot.h"

namespace pith::report {
namespace {

const char* const kHostile = "<script>alert('&\"')</script>\x01\xff\xc0\xaf";

// Elements close in the order in which they were opened, attributes are quoted, and no sign of markup is left over.
void expect_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-z]+)((?: [a-zA-Z0-9:-]+=\"[^\"<>&]*(?:&[a-z#0-9]+;[^\"<>&]*)*\")*)(/?)>");
  std::size_t at = 0;
  for (auto it = std::sregex_iterator(xml.begin(), xml.end(), tag); it != std::sregex_iterator(); ++it) {
    const std::string between = xml.substr(at, std::size_t(it->position()) - at);
    EXPECT_EQ(between.find_first_of("<>"), std::string::npos) << between;
    EXPECT_FALSE(std::regex_search(between, std::regex("&(?![a-z#0-9]+;)"))) << between;
    at = std::size_t(it->position() + it->length());
    if ((*it)[1].length() > 0) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), (*it)[2].str());
      open.pop_back();
    } else if ((*it)[4].length() == 0) {
      open.push_back((*it)[2].str());
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(xml.substr(at).find('<'), std::string::npos);
  for (const char c : xml) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
}

void expect_finite(const std::string& svg) {
  EXPECT_FALSE(std::regex_search(svg, std::regex("\"[^\"]*\\b(nan|inf)\\b[^\"]*\"")));
}

Scatter hostile_scatter() {
  Scatter chart;
  chart.frame = {.id = "a\"b", .title = kHostile, .description = kHostile};
  chart.x = {.title = kHostile, .log = true};
  chart.y = {.title = "y", .log = true};
  chart.groups = {kHostile, "two"};
  chart.points = {{kHostile, kHostile, 1, 2, 100, 0}, {"b", "", 10, 0.5, 0, 7},       {"zero", "", 0, 1, 0, 1},
                  {"nan", "", NAN, 1, 0, 1},          {"inf", "", 1, INFINITY, 0, 1}, {"minus", "", 3, -1, 0, 1}};
  chart.front = Scatter::Front::low_x;
  chart.guide = 20;
  chart.guide_name = kHostile;
  return chart;
}

TEST(Chart, HostileNamesAndNumbersGiveWellFormedDrawings) {
  const std::string svg = scatter_svg(hostile_scatter());
  expect_well_formed(svg);
  expect_finite(svg);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  // Two of six points can be drawn: one mark each, and one each of the legend's two groups.
  const std::regex mark("class=\"mark ");
  EXPECT_EQ(std::distance(std::sregex_iterator(svg.begin(), svg.end(), mark), std::sregex_iterator()), 4);
}

TEST(Chart, NothingToDrawIsStillADrawing) {
  for (const std::string& svg : {scatter_svg({}), bars_svg({}), heat_map_svg({}), lines_svg({}), histograms_svg({})}) {
    expect_well_formed(svg);
    expect_finite(svg);
  }
}

TEST(Chart, OtherKindsAreWellFormedToo) {
  HeatMap map;
  map.frame.title = kHostile;
  map.rows = {kHostile, "b"};
  map.cols = {"0", "1", "2"};
  map.values = {{0.1, NAN, INFINITY}, {0, -1, 5}};
  Bars bars;
  bars.groups = {{kHostile, {{kHostile, 0.5, 0.4, 0.6, 9}, {"nan", NAN, 0, 1, 0}, {"b", 0.2, NAN, INFINITY, 1}}}};
  Lines lines;
  lines.series = {{kHostile, {{0, 1}, {1, NAN}, {2, 3}}, 11}, {"flat", {{0, 1}, {2, 1}}, 1}};
  Histograms histograms;
  histograms.all = {{kHostile, -4, 4, {0.5, NAN, 0, 0.5}}, {"empty", 0, 1, {}}};
  histograms.log = true;
  for (const std::string& svg : {heat_map_svg(map), bars_svg(bars), lines_svg(lines), histograms_svg(histograms)}) {
    expect_well_formed(svg);
    expect_finite(svg);
  }
}

TEST(Chart, TheFrontIsWhatNothingBeatsInBoth) {
  std::vector<ScatterPoint> p(5);
  const double x[] = {1, 2, 3, 4, 2}, y[] = {9, 5, 7, 1, 6};
  for (std::size_t i = 0; i < 5; ++i) p[i].x = x[i], p[i].y = y[i];
  EXPECT_EQ(front_of(p, true), (std::vector<std::size_t>{0, 1, 3}));
  EXPECT_EQ(front_of(p, false), (std::vector<std::size_t>{3}));  // the largest x has the smallest y, too
}

TEST(Chart, TicksAreRound) {
  EXPECT_EQ(ticks({.low = 0, .high = 10}, 6), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks({.low = -1, .high = 1.2}, 5), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(ticks({.log = true, .low = 0.9, .high = 120}, 4), (std::vector<double>{1, 10, 100}));
  const auto fine = ticks({.log = true, .low = 90, .high = 280}, 6);
  EXPECT_EQ(fine, (std::vector<double>{100, 150, 200}));
}

TEST(Chart, AxesHoldTheirValues) {
  const std::vector<double> values = {5, NAN, 80, -3};
  const Axis log = fitted(values, true, false, 0, 100);
  EXPECT_GT(log.low, 0);
  EXPECT_TRUE(log.holds(5) && log.holds(80));
  EXPECT_NEAR(log.place(20), 50, 0.1);  // the geometric mean of 5 and 80
  const Axis one = fitted(std::vector<double>{7}, false, false, 0, 100);
  EXPECT_NEAR(one.place(7), 50, 1e-9);
  EXPECT_TRUE(std::isfinite(fitted({}, true, false, 0, 1).place(0.5)));
}

TEST(Chart, LabelsDoNotOverlap) {
  Labels labels({0, 0, 300, 200}, 12);
  Svg svg("x", 300, 200, "t", "d");
  int drawn = 0;
  for (int i = 0; i < 12; ++i) drawn += labels.draw(svg, {150.0 + i, 100}, 6, "a name") ? 1 : 0;
  EXPECT_GT(drawn, 4);
  const std::string text = svg.done();
  const std::regex place("<text x=\"([0-9.]+)\" y=\"([0-9.]+)\" class=\"label\"");
  std::vector<Rectangle> boxes;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), place); it != std::sregex_iterator(); ++it) {
    const double x = std::stod((*it)[1]), y = std::stod((*it)[2]);
    const Rectangle box{x, y - 11, x + text_width("a name", 12), y};
    for (const Rectangle& other : boxes) EXPECT_FALSE(box.meets(other));
    EXPECT_TRUE(box.x0 >= 0 && box.x1 <= 300 && y <= 200);
    boxes.push_back(box);
  }
  EXPECT_EQ(int(boxes.size()), drawn);
}

TEST(Chart, LongNamesLoseTheirMiddle) {
  EXPECT_EQ(shortened("abcdefghij", 7), "abcd…ij");
  EXPECT_EQ(shortened("äöüäöüäöüä", 7), "äöüä…üä");
  EXPECT_EQ(shortened("short", 7), "short");
}

TEST(Chart, EscapesWhatXmlDoesNotAllow) {
  EXPECT_EQ(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escaped("\x01"), "\xEF\xBF\xBD");
  EXPECT_EQ(escaped("\xc0\xaf"), "\xEF\xBF\xBD\xEF\xBF\xBD");          // overlong
  EXPECT_EQ(escaped("\xed\xa0\x80").find('\xed'), std::string::npos);  // half of a surrogate pair
  EXPECT_EQ(escaped("é€😀"), "é€😀");
  EXPECT_EQ(escaped("\xe2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // cut short
}

}  // namespace
}  // namespace pith::report
