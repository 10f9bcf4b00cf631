#include "report/chart/svg.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace pith::report {
namespace {

constexpr std::string_view kUnknown = "\xEF\xBF\xBD";

// Bytes of the character that begins at `at`; 0 where that is no character XML may hold.
std::size_t character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const std::size_t size = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first >= 0xf5 || at + size > text.size()) return 0;
  unsigned code = first & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(at + i) & 0x3f);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && (code < 0x10000 || code > 0x10ffff));
  return overlong || (code >= 0xd800 && code < 0xe000) || code == 0xfffe || code == 0xffff ? 0 : size;
}

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

std::string number(double v) {
  PITH_CHECK(std::isfinite(v));
  std::string text = fmt::format("{:.1f}", v);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string points_of(std::span<const Place> places) {
  std::string out;
  for (const Place& p : places) out += (out.empty() ? "" : " ") + number(p.x) + "," + number(p.y);
  return out;
}

constexpr std::string_view kAnchors[] = {"start", "middle", "end"};

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_at(text, at);
    if (size == 0) {
      out += kUnknown;
    } else if (const auto name = entity(text[at]); !name.empty()) {
      out += name;
    } else {
      out += text.substr(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  return out;
}

Svg::Svg(std::string_view id, double width, double height, std::string_view title, std::string_view description)
    : width_(width), height_(height) {
  body_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
      "aria-labelledby=\"{2}-t {2}-d\"><title id=\"{2}-t\">{3}</title><desc id=\"{2}-d\">{4}</desc>\n",
      number(width), number(height), escaped(id), escaped(title), escaped(description));
}

void Svg::line(Place a, Place b, std::string_view style) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\"/>\n", number(a.x), number(a.y),
                       number(b.x), number(b.y), escaped(style));
}

void Svg::lines(std::span<const Place> places, std::string_view style) {
  if (places.size() < 2) return;
  body_ += fmt::format("<polyline points=\"{}\" class=\"{}\"/>\n", points_of(places), escaped(style));
}

void Svg::area(std::span<const Place> places, std::string_view style) {
  if (places.size() < 3) return;
  body_ += fmt::format("<polygon points=\"{}\" class=\"{}\"/>\n", points_of(places), escaped(style));
}

void Svg::close(std::string_view hint, std::string_view element) {
  if (hint.empty())
    body_ += "/>\n";
  else
    body_ += fmt::format("><title>{}</title></{}>\n", escaped(hint), element);
}

void Svg::box(Place at, double width, double height, std::string_view style, double opacity, std::string_view hint) {
  PITH_CHECK(width >= 0 && height >= 0);
  body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{}\"", number(at.x), number(at.y),
                       number(width), number(height), escaped(style));
  if (opacity >= 0) body_ += fmt::format(" fill-opacity=\"{:.2f}\"", std::fmin(opacity, 1));
  close(hint, "rect");
}

void Svg::mark(Place at, std::size_t shape, double r, std::string_view style, std::string_view hint) {
  if (shape % 6 == 0) {
    body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" class=\"{}\"", number(at.x), number(at.y), number(r),
                         escaped(style));
    return close(hint, "circle");
  }
  const double s = 0.88 * r, t = 1.2 * r;
  std::vector<Place> p;
  switch (shape % 6) {
    case 1:
      p = {{-s, -s}, {s, -s}, {s, s}, {-s, s}};
      break;
    case 2:
      p = {{0, -t}, {t, 0.8 * t}, {-t, 0.8 * t}};
      break;
    case 3:
      p = {{0, -t}, {t, 0}, {0, t}, {-t, 0}};
      break;
    case 4:
      p = {{0, t}, {t, -0.8 * t}, {-t, -0.8 * t}};
      break;
    default: {  // a plus
      const double w = 0.4 * r;
      p = {{-w, -t}, {w, -t}, {w, -w}, {t, -w}, {t, w}, {w, w}, {w, t}, {-w, t}, {-w, w}, {-t, w}, {-t, -w}, {-w, -w}};
    }
  }
  for (Place& q : p) q = {at.x + q.x, at.y + q.y};
  body_ += fmt::format("<polygon points=\"{}\" class=\"{}\"", points_of(p), escaped(style));
  close(hint, "polygon");
}

void Svg::text(Place at, std::string_view words, std::string_view style, Anchor anchor) {
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", number(at.x),
                       number(at.y), escaped(style), kAnchors[std::size_t(anchor)], escaped(words));
}

void Svg::text_upwards(Place at, std::string_view words, std::string_view style) {
  body_ +=
      fmt::format("<text transform=\"translate({} {}) rotate(-90)\" class=\"{}\" text-anchor=\"middle\">{}</text>\n",
                  number(at.x), number(at.y), escaped(style), escaped(words));
}

static std::size_t characters(std::string_view text) {
  std::size_t n = 0;
  for (const char c : text) n += (c & 0xc0) != 0x80;
  return n;
}

double text_width(std::string_view text, double size) { return 0.56 * size * double(characters(text)); }

std::string shortened(std::string_view text, std::size_t most) {
  if (characters(text) <= most || most < 3) return std::string(text);
  const std::size_t head = (most - 1) * 2 / 3, tail = most - 1 - head;
  std::size_t n = 0, from = text.size(), cut = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xc0) == 0x80) continue;
    if (n == head) cut = i;
    if (n == characters(text) - tail) from = i;
    ++n;
  }
  return std::string(text.substr(0, cut)) + "…" + std::string(text.substr(from));
}

}  // namespace pith::report
