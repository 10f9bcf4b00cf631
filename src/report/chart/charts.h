// The kinds of charts. Each is a function from values to SVG; values that are not finite (or do not suit a logarithmic
// axis) are left out, never drawn.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "report/chart/axis.h"
#include "report/chart/svg.h"

namespace pith::report {

constexpr std::size_t kGroups = 8;  // colours that the page has: classes g0 to g7

struct ChartFrame {
  std::string id, title, description;
  double width = 920, height = 400;
  bool narrow() const { return width < 500; }
};

struct AxisChoice {
  std::string title;
  bool log = false, with_zero = false;
  std::function<std::string(double)> text = tick_text;
};

struct ScatterPoint {
  std::string name, hint;
  double x = 0, y = 0, y_half_width = 0;
  std::size_t group = 0;
};
struct Scatter {
  ChartFrame frame;
  AxisChoice x, y;
  std::vector<ScatterPoint> points;
  std::vector<std::string> groups;                               // names; shown where there are several
  enum class Front { none, low_x, high_x } front = Front::none;  // points that none beats in both; low y is good
  double guide = 0;  // a value of x with a line of its own, e.g. of the original; 0: none
  std::string guide_name;
};
std::string scatter_svg(const Scatter& chart);
// Indices of the points on the front, ascending in x.
std::vector<std::size_t> front_of(std::span<const ScatterPoint> points, bool low_x);

struct Bar {
  std::string name;
  double value = 0, low = 0, high = 0;  // interval; equal to value: none
  std::size_t group = 0;
};
struct BarGroup {
  std::string name;
  std::vector<Bar> bars;
};
struct Bars {
  ChartFrame frame;  // height is found from the bars
  AxisChoice x;
  std::vector<BarGroup> groups;
};
std::string bars_svg(const Bars& chart);

struct HeatMap {
  ChartFrame frame;  // height likewise
  std::string x_title;
  std::vector<std::string> rows, cols;
  std::vector<std::vector<double>> values;  // (rows, cols); not finite: no box
  std::function<std::string(double)> text = tick_text;
};
std::string heat_map_svg(const HeatMap& chart);  // darker is larger, on a logarithmic scale

struct Series {
  std::string name;
  std::vector<Place> values;  // x, y as measured, ascending in x
  std::size_t group = 0;
};
struct Lines {
  ChartFrame frame;
  AxisChoice x, y;
  std::vector<Series> series;
};
std::string lines_svg(const Lines& chart);

struct Histograms {  // small, side by side, one scale for all
  ChartFrame frame;  // height likewise
  struct One {
    std::string name;
    double low = 0, high = 0;
    std::vector<double> shares;
  };
  std::vector<One> all;
  bool log = false;  // heights as logarithms, so that tails show
  std::string x_title;
};
std::string histograms_svg(const Histograms& chart);

}  // namespace pith::report
