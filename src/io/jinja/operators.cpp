// Arithmetic, slices and "%" formats.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"

namespace pith::jinja {

namespace {

[[noreturn]] void refuse(std::string_view op, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b})
    if (const auto* u = get<Undefined>(*v)) throw Fault(fmt::format("'{}' is undefined", u->name));
  throw Fault(fmt::format("{} {} {} means nothing", type_name(a), op, type_name(b)));
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  if (base >= -1 && base <= 1) exponent = exponent % 2 + (exponent > 1 ? 2 : 0);  // the sign is all that matters
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) throw Fault("a number too large");
  return result;
}

Value whole(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  bool over = false;
  if ((op == "/" || op == "//" || op == "%") && b == 0) throw Fault("division by zero");
  if ((op == "//" || op == "%") && b == -1) return op == "%" ? Value(std::int64_t(0)) : whole("-", 0, a);
  if (op == "/") return double(a) / double(b);
  if (op == "+") {
    over = __builtin_add_overflow(a, b, &out);
  } else if (op == "-") {
    over = __builtin_sub_overflow(a, b, &out);
  } else if (op == "*") {
    over = __builtin_mul_overflow(a, b, &out);
  } else if (op == "//") {
    out = floor_divide(a, b);
  } else if (op == "%") {
    out = a - floor_divide(a, b) * b;
  } else if (b < 0) {
    return std::pow(double(a), double(b));
  } else {
    out = power(a, b);
  }
  if (over) throw Fault("a number too large");
  return out;
}

Value real(std::string_view op, double a, double b) {
  if ((op == "/" || op == "//" || op == "%") && b == 0) throw Fault("division by zero");
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  if (op == "**") return std::pow(a, b);
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value repeated(Arena& arena, const Value& value, std::int64_t times) {
  times = std::max<std::int64_t>(times, 0);
  if (const auto* text = get<std::string_view>(value)) {
    if (!text->empty() && times > arena.limits().max_output_bytes / dim(text->size()))
      arena.check_size(arena.limits().max_output_bytes + 1);
    std::string out;
    if (text->empty()) times = 0;
    for (; times > 0; --times) out += *text;
    return arena.text(std::move(out));
  }
  const List* list = as_list(value);
  const auto size = dim(list->items.size());
  if (size == 0) times = 0;
  if (times > arena.limits().max_range / std::max<dim>(size, 1)) throw Fault("a list too long");
  std::vector<Value> items;
  for (; times > 0; --times) items.insert(items.end(), list->items.begin(), list->items.end());
  arena.step(dim(items.size()));
  return arena.list(std::move(items), list->tuple);
}

Value sum_of_texts(Arena& arena, std::string_view a, std::string_view b) {
  const bool safe_a = arena.is_safe(a), safe_b = arena.is_safe(b);
  arena.check_size(dim(a.size() + b.size()));
  if (!safe_a && !safe_b) return arena.text(std::string(a).append(b));
  const std::string_view both =
      arena.text((safe_a ? std::string(a) : escape_html(a)).append(safe_b ? std::string(b) : escape_html(b)));
  arena.mark_safe(both);
  return both;
}

}  // namespace

Value binary(Arena& arena, std::string_view op, const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    if (get<double>(a) || get<double>(b)) return real(op, number(a), number(b));
    return whole(op, integer(a, ""), integer(b, ""));
  }
  const auto *s = get<std::string_view>(a), *t = get<std::string_view>(b);
  const List *l = as_list(a), *m = as_list(b);
  if (op == "+" && s && t) return sum_of_texts(arena, *s, *t);
  if (op == "+" && l && m && l->tuple == m->tuple) {
    std::vector<Value> items = l->items;
    items.insert(items.end(), m->items.begin(), m->items.end());
    arena.step(dim(items.size()));
    return arena.list(std::move(items), l->tuple);
  }
  if (op == "*" && (s || l) && is_number(b) && !get<double>(b)) return repeated(arena, a, integer(b, ""));
  if (op == "*" && (t || m) && is_number(a) && !get<double>(a)) return repeated(arena, b, integer(a, ""));
  if (op == "%" && s) return arena.text(format_text(arena, *s, m && m->tuple ? m->items : std::vector<Value>{b}));
  refuse(op, a, b);
}

Value slice(Arena& arena, const Value& value, const Value& from, const Value& to, const Value& step) {
  const auto* text = get<std::string_view>(value);
  const List* list = as_list(value);
  if (get<Undefined>(value)) refuse("slice", value, value);
  if (!text && !list) throw Fault(fmt::format("a {} has no slices", type_name(value)));
  const std::vector<Value> items = items_of(arena, value);
  const auto size = std::int64_t(items.size());
  const std::int64_t by = get<None>(step) ? 1 : std::clamp<std::int64_t>(integer(step, "a step"), -size - 1, size + 1);
  if (by == 0) throw Fault("a slice cannot have step 0");
  const auto place = [&](const Value& given, std::int64_t absent) {
    if (get<None>(given)) return absent;
    std::int64_t at = integer(given, "a bound of a slice");
    if (at < 0) at = at < -size ? -1 : at + size;
    return by > 0 ? std::clamp<std::int64_t>(at, 0, size) : std::clamp<std::int64_t>(at, -1, size - 1);
  };
  const std::int64_t begin = place(from, by > 0 ? 0 : size - 1), end = place(to, by > 0 ? size : -1);
  std::vector<Value> kept;
  for (std::int64_t i = begin; by > 0 ? i < end : i > end; i += by) kept.push_back(items[std::size_t(i)]);
  if (list) return arena.list(std::move(kept), list->tuple);
  std::string out;
  for (const Value& v : kept) out += std::get<std::string_view>(v);
  return arena.text(std::move(out));
}

namespace {

// %[flags][width][.precision]conversion, as printf has them.
struct Conversion {
  std::string flags;
  int width = 0, precision = -1;
  char kind = 's';
};

Conversion read_conversion(std::string_view format, std::size_t& at) {
  Conversion c;
  const auto figure = [&](int value) {
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at)
      value = std::min(value * 10 + (format[at] - '0'), 10'000);
    return value;
  };
  while (at < format.size() && std::string_view("-+ 0#").find(format[at]) != std::string_view::npos)
    c.flags += format[at++];
  c.width = figure(0);
  if (at < format.size() && format[at] == '.') {
    ++at;
    c.precision = std::min(figure(0), 300);
  }
  if (at >= format.size()) throw Fault("a format that ends within a conversion");
  c.kind = format[at++];
  return c;
}

std::string converted(Arena& arena, const Conversion& c, const Value& value) {
  const auto has = [&](char flag) { return c.flags.find(flag) != std::string::npos; };
  std::string text;
  const bool real = std::string_view("eEfFgG").find(c.kind) != std::string_view::npos;
  if (c.kind == 's' || c.kind == 'r') {
    text = c.kind == 's' ? display(arena, value) : repr(arena, value);
  } else if (c.kind == 'd' || c.kind == 'i' || c.kind == 'u' || c.kind == 'x' || c.kind == 'X' || c.kind == 'o') {
    if (!is_number(value)) throw Fault(fmt::format("%{} needs a number, not a {}", c.kind, type_name(value)));
    const auto* d = get<double>(value);
    if (d && !(std::abs(*d) < 9e18)) throw Fault("a number too large");
    const std::int64_t i = d ? std::int64_t(*d) : integer(value, "");
    text = c.kind == 'x'   ? fmt::format("{:x}", i)
           : c.kind == 'X' ? fmt::format("{:X}", i)
           : c.kind == 'o' ? fmt::format("{:o}", i)
                           : std::to_string(i);
  } else if (real) {
    if (!is_number(value)) throw Fault(fmt::format("%{} needs a number, not a {}", c.kind, type_name(value)));
    const std::string spec = fmt::format("{{:.{}{}}}", c.precision < 0 ? 6 : c.precision, c.kind);
    text = fmt::format(fmt::runtime(spec), number(value));
  } else {
    throw Fault("a conversion that is not known");
  }
  if (c.kind != 's' && c.kind != 'r' && text[0] != '-' && (has('+') || has(' ')))
    text.insert(0, 1, has('+') ? '+' : ' ');
  const dim missing = c.width - character_count(text);
  if (missing <= 0) return text;
  if (has('-')) return text + std::string(std::size_t(missing), ' ');
  const bool zeros = has('0') && c.kind != 's' && c.kind != 'r';
  const std::size_t sign = zeros && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
  return text.insert(zeros ? sign : 0, std::size_t(missing), zeros ? '0' : ' ');
}

}  // namespace

std::string format_text(Arena& arena, std::string_view format, const std::vector<Value>& values) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    ++at;
    if (at < format.size() && format[at] == '%') {
      out += format[at++];
      continue;
    }
    const Conversion c = read_conversion(format, at);
    if (used == values.size()) throw Fault("a format with more conversions than values");
    out += converted(arena, c, values[used++]);
    arena.check_size(dim(out.size()));
  }
  if (used < values.size()) throw Fault("a format with fewer conversions than values");
  return out;
}

}  // namespace pith::jinja
