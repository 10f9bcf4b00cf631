// Drawings as SVG text. Colours are classes that the page gives meaning to (report/page/style.css), so that one drawing
// serves light and dark.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/base.h"

namespace pith::report {

// For text and attributes of XML and HTML: signs of markup as entities, bytes that are not UTF-8 and characters that
// XML does not allow as U+FFFD.
std::string escaped(std::string_view text);

struct Place {  // in units of the drawing, from the upper left
  double x = 0, y = 0;
};
enum class Anchor { start, middle, end };

// Coordinates must be finite; they are written with one decimal.
class Svg {
 public:
  // id: unique on the page. Title and description are what a screen reader says.
  Svg(std::string_view id, double width, double height, std::string_view title, std::string_view description);
  void line(Place from, Place to, std::string_view style);
  void lines(std::span<const Place> places, std::string_view style);
  void area(std::span<const Place> places, std::string_view style);
  // opacity: below 0: as the style says. hint: shown under the pointer.
  void box(Place corner, double width, double height, std::string_view style, double opacity = -1,
           std::string_view hint = {});
  // One of six shapes, so that groups differ in more than colour.
  void mark(Place at, std::size_t shape, double radius, std::string_view style, std::string_view hint = {});
  void text(Place at, std::string_view words, std::string_view style, Anchor anchor = Anchor::start);
  void text_upwards(Place at, std::string_view words, std::string_view style);
  std::string done() const { return body_ + "</svg>\n"; }
  double width() const { return width_; }
  double height() const { return height_; }

 private:
  void close(std::string_view hint, std::string_view element);
  std::string body_;
  double width_, height_;
};

double text_width(std::string_view text, double size);           // about, of a sans-serif font of that size
std::string shortened(std::string_view text, std::size_t most);  // characters; the middle becomes an ellipsis

}  // namespace pith::report
