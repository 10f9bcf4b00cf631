#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/chart/plot.h"

namespace pith::report {
namespace {

constexpr double kRow = 24;

struct Scale {
  double low = 0, high = 0;
  // From 0.06, so that every box shows, to 1.
  double depth(double v) const {
    if (v <= 0 || high <= low) return v > 0 ? 0.5 : 0.06;
    return 0.06 + 0.94 * std::clamp(std::log(v / low) / std::log(high / low), 0.0, 1.0);
  }
};

Scale scale_of(const HeatMap& chart) {
  Scale s{INFINITY, 0};
  for (const auto& row : chart.values)
    for (const double v : row)
      if (std::isfinite(v) && v > 0) s = {std::min(s.low, v), std::max(s.high, v)};
  if (s.high == 0) s.low = 0;
  return s;
}

void draw_scale(Svg& svg, const HeatMap& chart, const Scale& scale, double left, double y) {
  constexpr int kSteps = 24;
  if (scale.high <= scale.low) return;
  for (int i = 0; i < kSteps; ++i) svg.box({left + 6.0 * i, y}, 6, 10, "heat", 0.06 + 0.94 * i / double(kSteps - 1));
  svg.text({left, y + 24}, chart.text(scale.low), "tick");
  svg.text({left + 6 * kSteps, y + 24}, chart.text(scale.high), "tick", Anchor::end);
}

}  // namespace

std::string heat_map_svg(const HeatMap& chart) {
  ChartFrame frame = chart.frame;
  const double left = frame.narrow() ? 108 : 190, right = 8;
  const auto rows = double(chart.rows.size());
  frame.height = rows * kRow + 78;
  const double width = (frame.width - left - right) / std::max(1.0, double(chart.cols.size()));
  const Scale scale = scale_of(chart);
  Svg svg(frame.id, frame.width, frame.height, frame.title, frame.description);
  for (std::size_t r = 0; r < chart.rows.size(); ++r) {
    const double y = double(r) * kRow;
    svg.text({left - 8, y + kRow / 2 + 4}, shortened(chart.rows[r], frame.narrow() ? 15 : 26), "tick strong",
             Anchor::end);
    PITH_CHECK(chart.values[r].size() == chart.cols.size());
    for (std::size_t c = 0; c < chart.cols.size(); ++c) {
      const double v = chart.values[r][c];
      if (!std::isfinite(v)) continue;
      svg.box({left + double(c) * width, y + 1}, std::max(width - 1, 0.5), kRow - 2, "heat", scale.depth(v),
              chart.rows[r] + ", " + chart.cols[c] + ": " + chart.text(v));
    }
  }
  const double y = rows * kRow;
  const auto every = std::size_t(std::ceil(30 / std::max(width, 1e-9)));
  for (std::size_t c = 0; c < chart.cols.size(); c += std::max<std::size_t>(1, every))
    svg.text({left + (double(c) + 0.5) * width, y + 16}, chart.cols[c], "tick", Anchor::middle);
  svg.text({left, y + 36}, chart.x_title, "name");
  draw_scale(svg, chart, scale, left, y + 46);
  return svg.done();
}

}  // namespace pith::report
