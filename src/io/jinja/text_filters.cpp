// Filters that make a text or a number.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"

namespace pith::jinja {

namespace {

// Filters take anything as text.
std::string soft(Interpreter& in, const Value& v) {
  std::string text = display(in.arena(), v);
  in.arena().step(dim(text.size() / 16));
  return text;
}

template <std::string (*kConvert)(std::string_view)>
Value converted(Interpreter& in, const Value& v, const Arguments&) {
  return in.arena().text(kConvert(soft(in, v)));
}

Value string(Interpreter& in, const Value& v, const Arguments&) {
  return get<std::string_view>(v) ? v : in.arena().text(soft(in, v));
}

Value trim(Interpreter& in, const Value& v, const Arguments& given) {
  const Value* set = given.find(0, "chars");
  const std::string text = soft(in, v);
  if (!set || get<None>(*set)) return in.arena().text(std::string(strip(text, true, true)));
  return in.arena().text(std::string(strip(text, true, true, text_of(*set, "the characters to strip"))));
}

Value replace(Interpreter& in, const Value& v, const Arguments& given) {
  const Value *from = given.find(0, "old"), *to = given.find(1, "new"), *count = given.find(2, "count");
  if (!from || !to) throw Fault("replace needs what and by what");
  const std::string text = soft(in, v), what = soft(in, *from), by = soft(in, *to);
  std::int64_t left = count && !get<None>(*count) ? integer(*count, "a count") : -1;
  if (left < 0) left = INT64_MAX;
  std::string out;
  std::string_view rest = text;
  while (left > 0) {
    const std::size_t at = rest.find(what);
    if (at == std::string_view::npos) break;
    --left;
    out.append(rest.substr(0, at)).append(by);
    rest.remove_prefix(at + what.size());
    in.arena().check_size(dim(out.size()));
    in.arena().step();
    if (!what.empty()) continue;
    if (rest.empty()) break;
    const std::size_t letter = characters(rest.substr(0, 4 < rest.size() ? 4 : rest.size())).front().size();
    out.append(rest.substr(0, letter));
    rest.remove_prefix(letter);
  }
  return in.arena().text(out.append(rest));
}

Value indent(Interpreter& in, const Value& v, const Arguments& given) {
  const Value *width = given.find(0, "width"), *first = given.find(1, "first"), *blank = given.find(2, "blank");
  std::string by(4, ' ');
  if (width && get<std::string_view>(*width)) {
    by = std::get<std::string_view>(*width);
  } else if (width) {
    by.assign(std::size_t(std::clamp<std::int64_t>(integer(*width, "an indent"), 0, 10'000)), ' ');
  }
  const std::string text = soft(in, v) + "\n";
  std::string out;
  bool begun = false;
  for (const std::string_view line : split_lines(text)) {
    if (begun) out += "\n";
    const bool indented = begun ? !line.empty() || (blank && truth(*blank)) : first && truth(*first);
    if (indented) out += by;
    out += line;
    begun = true;
    in.arena().check_size(dim(out.size()));
  }
  return in.arena().text(std::move(out));
}

Value tojson(Interpreter& in, const Value& v, const Arguments& given) {
  const Value *ascii = given.find(0, "ensure_ascii"), *indent_by = given.find(1, "indent"),
              *separators = given.find(2, "separators"), *sorted = given.find(3, "sort_keys");
  JsonStyle style;
  style.ascii = ascii && truth(*ascii);
  style.sort_keys = sorted && truth(*sorted);
  if (indent_by && !get<None>(*indent_by))
    style.indent = int(std::clamp<std::int64_t>(integer(*indent_by, "an indent"), 0, 1000));
  style.item_separator = style.indent < 0 ? ", " : ",";
  style.key_separator = ": ";
  if (separators && !get<None>(*separators)) {
    const List* pair = as_list(*separators);
    if (!pair || pair->items.size() != 2) throw Fault("separators are a pair of texts");
    style.item_separator = text_of(pair->items[0], "a separator");
    style.key_separator = text_of(pair->items[1], "a separator");
  }
  return in.arena().text(to_json(in.arena(), v, style));
}

Value safe(Interpreter& in, const Value& v, const Arguments&) {
  const std::string_view text = in.arena().text(soft(in, v));
  in.arena().mark_safe(text);
  return text;
}

Value escape(Interpreter& in, const Value& v, const Arguments& given) {
  if (const auto* text = get<std::string_view>(v); text && in.arena().is_safe(*text)) return v;
  return safe(in, in.arena().text(escape_html(soft(in, v))), given);
}

Value whole(Interpreter& in, const Value& v, const Arguments& given) {
  const Value* fallback = given.find(0, "default");
  const Value other = fallback ? *fallback : Value(std::int64_t(0));
  if (is_number(v)) {
    if (!get<double>(v)) return integer(v, "");
    if (!(std::abs(number(v)) < 9e18)) return other;
    return std::int64_t(number(v));
  }
  const std::string text = soft(in, v);
  std::string_view digits = strip(text, true, true);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc() && end == digits.data() + digits.size()) return value;
  double real = 0;  // "1.5" is 1
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), real);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || !(std::abs(real) < 9e18)) return other;
  return std::int64_t(real);
}

Value real(Interpreter& in, const Value& v, const Arguments& given) {
  const Value* fallback = given.find(0, "default");
  if (is_number(v)) return number(v);
  const std::string text = soft(in, v);
  std::string_view digits = strip(text, true, true);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc() && end == digits.data() + digits.size()) return value;
  return fallback ? *fallback : Value(0.0);
}

Value absolute(Interpreter& in, const Value& v, const Arguments&) {
  if (const auto* d = get<double>(v)) return std::abs(*d);
  const std::int64_t i = integer(v, "what abs takes");
  return i < 0 ? binary(in.arena(), "-", std::int64_t(0), i) : Value(i);
}

Value round(Interpreter&, const Value& v, const Arguments& given) {
  const Value *places = given.find(0, "precision"), *method = given.find(1, "method");
  if (!is_number(v)) throw Fault("round takes a number");
  const auto precision = int(std::clamp<std::int64_t>(places ? integer(*places, "a precision") : 0, 0, 300));
  const std::string_view how = method ? text_of(*method, "a method") : "common";
  if (how == "common") return std::stod(fmt::format("{:.{}f}", number(v), precision));
  if (how != "ceil" && how != "floor") throw Fault("round goes common, ceil or floor");
  const double scale = std::pow(10.0, precision), scaled = number(v) * scale;
  return (how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

Value format(Interpreter& in, const Value& v, const Arguments& given) {
  if (!given.named.empty()) throw Fault("format takes values by place only");
  return in.arena().text(format_text(in.arena(), soft(in, v), given.positional));
}

Value fallback(Interpreter&, const Value& v, const Arguments& given) {
  const Value *other = given.find(0, "default_value"), *falsy = given.find(1, "boolean");
  const bool absent = get<Undefined>(v) || (falsy && truth(*falsy) && !truth(v));
  if (!absent) return v;
  return other ? *other : Value(std::string_view());
}

Value words(Interpreter& in, const Value& v, const Arguments&) {
  return std::int64_t(split_space(soft(in, v), -1).size());
}

struct Entry {
  std::string_view name;
  Function function;
};
constexpr Entry kFilters[] = {{"upper", converted<upper>},
                              {"lower", converted<lower>},
                              {"title", converted<title>},
                              {"capitalize", converted<capitalize>},
                              {"string", string},
                              {"safe", safe},
                              {"trim", trim},
                              {"replace", replace},
                              {"indent", indent},
                              {"tojson", tojson},
                              {"escape", escape},
                              {"e", escape},
                              {"int", whole},
                              {"float", real},
                              {"abs", absolute},
                              {"round", round},
                              {"format", format},
                              {"default", fallback},
                              {"d", fallback},
                              {"wordcount", words}};

}  // namespace

Function find_text_filter(std::string_view name) {
  for (const Entry& e : kFilters)
    if (e.name == name) return e.function;
  return nullptr;
}

Function find_filter(std::string_view name) {
  const Function function = find_text_filter(name);
  return function ? function : find_list_filter(name);
}

}  // namespace pith::jinja
