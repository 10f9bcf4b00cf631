#include <algorithm>
#include <cmath>

#include "report/chart/plot.h"

namespace pith::report {
namespace {

constexpr double kHeight = 64, kName = 18, kFoot = 18;

double top_of(const Histograms& chart) {
  double top = 0;
  for (const auto& h : chart.all)
    for (const double s : h.shares)
      if (std::isfinite(s)) top = std::max(top, s);
  return top;
}

// 0 to 1 of the height; logarithmic: five decades.
double level(const Histograms& chart, double share, double top) {
  if (!(share > 0) || top <= 0) return 0;
  return chart.log ? std::max(0.0, 1 + std::log10(share / top) / 5) : share / top;
}

void draw_one(Svg& svg, const Histograms& chart, const Histograms::One& h, Place at, double width, double top) {
  svg.text({at.x, at.y + 12}, shortened(h.name, std::size_t(width / 7.2)), "tick strong");
  const double base = at.y + kName + kHeight;
  std::vector<Place> places = {{at.x, base}};
  const double step = width / std::max(1.0, double(h.shares.size()));
  for (std::size_t i = 0; i < h.shares.size(); ++i) {
    const double y = base - kHeight * level(chart, h.shares[i], top);
    places.push_back({at.x + double(i) * step, y});
    places.push_back({at.x + double(i + 1) * step, y});
  }
  places.push_back({at.x + width, base});
  svg.area(places, "histogram");
  svg.line({at.x, base}, {at.x + width, base}, "axis");
  svg.text({at.x, base + 13}, tick_text(h.low), "tick");
  svg.text({at.x + width, base + 13}, tick_text(h.high), "tick", Anchor::end);
  svg.text({at.x + width / 2, base + 13}, tick_text((h.low + h.high) / 2), "tick", Anchor::middle);
}

}  // namespace

std::string histograms_svg(const Histograms& chart) {
  ChartFrame frame = chart.frame;
  const std::size_t across = frame.narrow() ? 2 : 4;
  const std::size_t down = (chart.all.size() + across - 1) / across;
  const double gap = 18, width = (frame.width - gap * double(across - 1)) / double(across);
  const double cell = kName + kHeight + kFoot + 8;
  frame.height = double(down) * cell + 22;
  Svg svg(frame.id, frame.width, frame.height, frame.title, frame.description);
  const double top = top_of(chart);
  for (std::size_t i = 0; i < chart.all.size(); ++i)
    draw_one(svg, chart, chart.all[i], {double(i % across) * (width + gap), double(i / across) * cell}, width, top);
  svg.text({frame.width / 2, frame.height - 6}, chart.x_title, "name", Anchor::middle);
  return svg.done();
}

}  // namespace pith::report
