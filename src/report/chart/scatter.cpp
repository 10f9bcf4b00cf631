#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/chart/plot.h"

namespace pith::report {
namespace {

bool drawable(const AxisChoice& axis, double v) { return std::isfinite(v) && (!axis.log || v > 0); }

std::vector<ScatterPoint> drawn_points(const Scatter& chart) {
  std::vector<ScatterPoint> points;
  for (const ScatterPoint& p : chart.points)
    if (drawable(chart.x, p.x) && drawable(chart.y, p.y)) points.push_back(p);
  return points;
}

Axis axis_of(const AxisChoice& choice, const std::vector<ScatterPoint>& points, bool is_x, double guide, double from,
             double to) {
  std::vector<double> values;
  for (const ScatterPoint& p : points) {
    values.push_back(is_x ? p.x : p.y);
    if (is_x) continue;  // the bars' ends, where the axis can show them
    values.push_back(p.y + p.y_half_width);
    if (!choice.log && p.y > p.y_half_width) values.push_back(p.y - p.y_half_width);
  }
  if (guide > 0) values.push_back(guide);
  return fitted(values, choice.log, choice.with_zero, from, to);
}

// Steps along the front: nothing lies on its good side.
void draw_front(Svg& svg, const std::vector<ScatterPoint>& points, const Axis& x, const Axis& y, bool low_x) {
  std::vector<Place> places;
  for (const std::size_t i : front_of(points, low_x)) {
    const Place at{x.place(points[i].x), y.place(points[i].y)};
    if (!places.empty()) places.push_back(low_x ? Place{at.x, places.back().y} : Place{places.back().x, at.y});
    places.push_back(at);
  }
  svg.lines(places, "front");
}

void draw_points(Svg& svg, const std::vector<ScatterPoint>& points, const Axis& x, const Axis& y) {
  for (const ScatterPoint& p : points) {
    const double at = x.place(p.x);
    if (p.y_half_width > 0) {
      const double low = std::max(p.y - p.y_half_width, y.low), high = std::min(p.y + p.y_half_width, y.high);
      svg.line({at, y.place(low)}, {at, y.place(high)}, group_style("whisker", p.group));
    }
    svg.mark({at, y.place(p.y)}, p.group, 6, group_style("mark", p.group), p.hint.empty() ? p.name : p.hint);
  }
}

}  // namespace

std::vector<std::size_t> front_of(std::span<const ScatterPoint> points, bool low_x) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].x != points[b].x) return low_x ? points[a].x < points[b].x : points[a].x > points[b].x;
    return points[a].y < points[b].y;
  });
  std::vector<std::size_t> front;
  double best = INFINITY;
  for (const std::size_t i : order)
    if (points[i].y < best) {
      best = points[i].y;
      front.push_back(i);
    }
  if (!low_x) std::reverse(front.begin(), front.end());
  return front;
}

std::string scatter_svg(const Scatter& chart) {
  std::vector<LegendItem> legend;
  for (std::size_t g = 0; g < chart.groups.size(); ++g) legend.push_back({chart.groups[g], g});
  ChartFrame frame = chart.frame;
  Plot plot;
  plot.top += legend_height(frame, legend);
  frame.height += legend_height(frame, legend);
  const std::vector<ScatterPoint> points = drawn_points(chart);
  const Axis x = axis_of(chart.x, points, true, chart.guide, plot.x0(frame), plot.x1(frame));
  const Axis y = axis_of(chart.y, points, false, 0, plot.y0(frame), plot.y1(frame));
  Svg svg(frame.id, frame.width, frame.height, frame.title, frame.description);
  draw_legend(svg, frame, 0, legend, true);
  draw_axes(svg, frame, plot, x, y, chart.x, chart.y);
  Labels labels({plot.x0(frame), plot.y1(frame) - 8, plot.x1(frame) + 12, plot.y0(frame)}, 12);
  if (chart.guide > 0 && x.holds(chart.guide)) {
    const double at = x.place(chart.guide);
    svg.line({at, plot.y0(frame)}, {at, plot.y1(frame)}, "guide");
    const bool rightmost = at > frame.width / 2;
    svg.text({at + (rightmost ? -6 : 6), plot.y1(frame) + 10}, chart.guide_name, "label quiet",
             rightmost ? Anchor::end : Anchor::start);
    const double width = text_width(chart.guide_name, 12);
    labels.keep_clear(
        {at - (rightmost ? width + 6 : 0), plot.y1(frame) - 2, at + (rightmost ? 2 : width + 6), plot.y1(frame) + 14});
  }
  for (const ScatterPoint& p : points)
    labels.keep_clear({x.place(p.x) - 7, y.place(p.y) - 7, x.place(p.x) + 7, y.place(p.y) + 7});
  std::vector<std::size_t> front;
  if (chart.front != Scatter::Front::none) {
    const bool low_x = chart.front == Scatter::Front::low_x;
    draw_front(svg, points, x, y, low_x);
    front = front_of(points, low_x);
  }
  draw_points(svg, points, x, y);
  // Names of the front first: they matter most where there is no room for all.
  std::vector<std::size_t> order = front;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (std::find(front.begin(), front.end(), i) == front.end()) order.push_back(i);
  for (const std::size_t i : order)
    labels.draw(svg, {x.place(points[i].x), y.place(points[i].y)}, 6,
                shortened(points[i].name, frame.narrow() ? 20 : 32));
  return svg.done();
}

}  // namespace pith::report
