#include "report/chart/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pith::report {

namespace {

constexpr double kLegendLine = 20, kLegendSize = 12.5;

// Places of legend items, in lines of the frame's width.
std::vector<Place> legend_places(const ChartFrame& frame, const std::vector<LegendItem>& items) {
  std::vector<Place> places;
  double x = 8, y = 0;
  for (const LegendItem& item : items) {
    const double width = 30 + text_width(item.name, kLegendSize);
    if (x > 8 && x + width > frame.width) {
      x = 8;
      y += kLegendLine;
    }
    places.push_back({x, y});
    x += width;
  }
  return places;
}

}  // namespace

std::string group_style(std::string_view kind, std::size_t group) {
  return fmt::format("{} g{}", kind, group % kGroups);
}

void draw_axes(Svg& svg, const ChartFrame& frame, const Plot& plot, const Axis& x, const Axis& y, const AxisChoice& xs,
               const AxisChoice& ys) {
  const double x0 = plot.x0(frame), x1 = plot.x1(frame), y0 = plot.y0(frame), y1 = plot.y1(frame);
  for (const double v : ticks(y, std::max(3, int((y0 - y1) / 44)))) {
    svg.line({x0, y.place(v)}, {x1, y.place(v)}, "grid");
    svg.text({x0 - 8, y.place(v) + 4}, ys.text(v), "tick", Anchor::end);
  }
  for (const double v : ticks(x, std::max(3, int((x1 - x0) / 82)))) {
    svg.line({x.place(v), y0}, {x.place(v), y0 + 5}, "axis");
    svg.text({x.place(v), y0 + 19}, xs.text(v), "tick", Anchor::middle);
  }
  svg.line({x0, y0}, {x1, y0}, "axis");
  svg.text({(x0 + x1) / 2, frame.height - 8}, xs.title, "name", Anchor::middle);
  svg.text_upwards({14, (y0 + y1) / 2}, ys.title, "name");
}

double legend_height(const ChartFrame& frame, const std::vector<LegendItem>& items) {
  return items.size() < 2 ? 0 : legend_places(frame, items).back().y + kLegendLine + 6;
}

double draw_legend(Svg& svg, const ChartFrame& frame, double top, const std::vector<LegendItem>& items, bool marks) {
  if (items.size() < 2) return top;
  const std::vector<Place> places = legend_places(frame, items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Place at{places[i].x, top + places[i].y + 10};
    if (marks)
      svg.mark({at.x + 7, at.y}, items[i].group, 5, group_style("mark", items[i].group));
    else
      svg.line({at.x, at.y}, {at.x + 14, at.y}, group_style("curve", items[i].group));
    svg.text({at.x + 19, at.y + 4}, items[i].name, "legend");
  }
  return top + legend_height(frame, items);
}

bool Labels::free(const Rectangle& r) const {
  if (r.x0 < field_.x0 || r.x1 > field_.x1 || r.y0 < field_.y0 || r.y1 > field_.y1) return false;
  return std::none_of(taken_.begin(), taken_.end(), [&](const Rectangle& t) { return t.meets(r); });
}

bool Labels::draw(Svg& svg, Place mark, double radius, const std::string& name) {
  const double width = text_width(name, size_), height = size_ * 1.15;
  for (const double way : {radius + 4, radius + 14, radius + 26}) {
    for (const double turn : {0.0, 180.0, -90.0, 90.0, -35.0, 35.0, -145.0, 145.0}) {
      const double angle = turn * 3.14159265358979 / 180;
      const Place at{mark.x + way * std::cos(angle), mark.y + way * std::sin(angle)};
      // The label's nearest edge or corner is at `at`.
      const double x0 = std::fabs(turn) == 90 ? at.x - width / 2 : std::fabs(turn) < 90 ? at.x : at.x - width;
      const double y0 = turn == 0 || turn == 180 ? at.y - height / 2 : turn < 0 ? at.y - height : at.y;
      const Rectangle box{x0 - 1, y0, x0 + width + 1, y0 + height};
      if (!free(box)) continue;
      if (way > radius + 10) svg.line(mark, at, "leader");
      svg.text({x0, y0 + 0.82 * height}, name, "label");
      taken_.push_back(box);
      return true;
    }
  }
  return false;
}

}  // namespace pith::report
