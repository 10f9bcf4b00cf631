#include <algorithm>
#include <cmath>

#include "report/chart/plot.h"

namespace pith::report {
namespace {

constexpr double kBar = 20, kGap = 5, kHead = 30;

Axis axis_of(const Bars& chart, double from, double to) {
  std::vector<double> values;
  for (const BarGroup& g : chart.groups)
    for (const Bar& b : g.bars)
      if (std::isfinite(b.value)) values.insert(values.end(), {b.value, b.high});
  return fitted(values, false, true, from, to);
}

void draw_bar(Svg& svg, const ChartFrame& frame, const Axis& x, const AxisChoice& xs, const Bar& bar, double y) {
  const double zero = x.place(x.low), end = x.place(std::clamp(bar.value, x.low, x.high));
  svg.text({zero - 8, y + kBar / 2 + 4}, shortened(bar.name, frame.narrow() ? 15 : 26), "tick strong", Anchor::end);
  svg.box({zero, y}, end - zero, kBar, group_style("bar", bar.group), -1, bar.name + ": " + xs.text(bar.value));
  double right = end;
  if (bar.high > bar.low && std::isfinite(bar.low) && std::isfinite(bar.high)) {
    const double a = x.place(std::max(bar.low, x.low)), b = x.place(std::min(bar.high, x.high));
    svg.line({a, y + kBar / 2}, {b, y + kBar / 2}, "interval");
    for (const double at : {a, b}) svg.line({at, y + 5}, {at, y + kBar - 5}, "interval");
    right = std::max(right, b);
  }
  svg.text({right + 6, y + kBar / 2 + 4}, xs.text(bar.value), "tick strong");
}

}  // namespace

std::string bars_svg(const Bars& chart) {
  ChartFrame frame = chart.frame;
  frame.height = 34;
  for (const BarGroup& g : chart.groups) frame.height += kHead + double(g.bars.size()) * (kBar + kGap);
  const double left = frame.narrow() ? 112 : 190;
  const Axis x = axis_of(chart, left, frame.width - 52);
  Svg svg(frame.id, frame.width, frame.height, frame.title, frame.description);
  const double bottom = frame.height - 34;
  for (const double v : ticks(x, frame.narrow() ? 3 : 6)) {
    svg.line({x.place(v), 8}, {x.place(v), bottom}, "grid");
    svg.text({x.place(v), bottom + 16}, chart.x.text(v), "tick", Anchor::middle);
  }
  double y = 0;
  for (const BarGroup& g : chart.groups) {
    svg.text({4, y + kHead - 10}, g.name, "heading");
    y += kHead;
    for (const Bar& bar : g.bars) {
      if (std::isfinite(bar.value)) draw_bar(svg, frame, x, chart.x, bar, y);
      y += kBar + kGap;
    }
  }
  svg.text({(left + frame.width) / 2, frame.height - 4}, chart.x.title, "name", Anchor::middle);
  return svg.done();
}

}  // namespace pith::report
