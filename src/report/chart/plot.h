// What charts with two axes share: the field, ticks, titles, the legend, and labels that do not overlap.
#pragma once
#include <string>
#include <vector>

#include "report/chart/charts.h"

namespace pith::report {

struct Plot {
  double left = 68, right = 16, top = 14, bottom = 48;
  double x0(const ChartFrame&) const { return left; }
  double x1(const ChartFrame& f) const { return f.width - right; }
  double y0(const ChartFrame& f) const { return f.height - bottom; }  // below
  double y1(const ChartFrame&) const { return top; }
};

void draw_axes(Svg& svg, const ChartFrame& frame, const Plot& plot, const Axis& x, const Axis& y, const AxisChoice& xs,
               const AxisChoice& ys);

struct LegendItem {
  std::string name;
  std::size_t group = 0;
};
// From `top` downwards, in as many lines as it needs; returns where it ends.
double draw_legend(Svg& svg, const ChartFrame& frame, double top, const std::vector<LegendItem>& items, bool marks);
double legend_height(const ChartFrame& frame, const std::vector<LegendItem>& items);

std::string group_style(std::string_view kind, std::size_t group);  // "mark g3"

struct Rectangle {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool meets(const Rectangle& o) const { return x0 < o.x1 && o.x0 < x1 && y0 < o.y1 && o.y0 < y1; }
};
// Finds places for names beside their points.
class Labels {
 public:
  Labels(const Rectangle& field, double size) : field_(field), size_(size) {}
  void keep_clear(const Rectangle& r) { taken_.push_back(r); }
  // Draws the name beside the mark if some place is free; a longer way off it gets a line to its mark.
  bool draw(Svg& svg, Place mark, double radius, const std::string& name);

 private:
  bool free(const Rectangle& r) const;
  Rectangle field_;
  double size_;
  std::vector<Rectangle> taken_;
};

}  // namespace pith::report
