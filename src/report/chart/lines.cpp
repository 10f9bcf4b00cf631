#include <algorithm>
#include <cmath>

#include "report/chart/plot.h"

namespace pith::report {
namespace {

bool drawable(const Lines& chart, Place p) {
  return std::isfinite(p.x) && std::isfinite(p.y) && (!chart.x.log || p.x > 0) && (!chart.y.log || p.y > 0);
}

Axis axis_of(const Lines& chart, bool is_x, double from, double to) {
  std::vector<double> values;
  for (const Series& s : chart.series)
    for (const Place& p : s.values)
      if (drawable(chart, p)) values.push_back(is_x ? p.x : p.y);
  const AxisChoice& choice = is_x ? chart.x : chart.y;
  return fitted(values, choice.log, choice.with_zero, from, to);
}

}  // namespace

std::string lines_svg(const Lines& chart) {
  std::vector<LegendItem> legend;
  for (const Series& s : chart.series) legend.push_back({shortened(s.name, 30), s.group});
  ChartFrame frame = chart.frame;
  Plot plot;
  plot.top += legend_height(frame, legend);
  frame.height += legend_height(frame, legend);
  const Axis x = axis_of(chart, true, plot.x0(frame), plot.x1(frame));
  const Axis y = axis_of(chart, false, plot.y0(frame), plot.y1(frame));
  Svg svg(frame.id, frame.width, frame.height, frame.title, frame.description);
  draw_legend(svg, frame, 0, legend, false);
  draw_axes(svg, frame, plot, x, y, chart.x, chart.y);
  if (!y.log && y.low < 0 && y.high > 0) svg.line({plot.x0(frame), y.place(0)}, {plot.x1(frame), y.place(0)}, "axis");
  for (const Series& s : chart.series) {
    std::vector<Place> places;
    for (const Place& p : s.values)
      if (drawable(chart, p)) places.push_back({x.place(p.x), y.place(p.y)});
    svg.lines(places, group_style("curve", s.group) + (s.group >= kGroups ? " dashed" : ""));
  }
  return svg.done();
}

}  // namespace pith::report
