// Values as text: Python's str and repr, and JSON both ways.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/jinja/text.h"
#include "io/jinja/value.h"
#include "io/unicode.h"

namespace pith::jinja {

// The shortest digits that read back the same, with an exponent outside 1e-4 .. 1e16.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific).ptr;
  const std::string_view all(buffer, std::size_t(end - buffer));
  const std::size_t e = all.find('e');
  int exponent = 0;
  const std::size_t sign = all[e + 1] == '+' ? e + 2 : e + 1;
  std::from_chars(all.data() + sign, all.data() + all.size(), exponent);
  std::string digits(1, all[0]);
  if (e > 2) digits += all.substr(2, e - 2);
  std::string out = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(std::size_t(-exponent - 1), '0') + digits;
  const auto whole = std::size_t(exponent + 1);
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

namespace {

void check(Arena& arena, const std::string& out, int depth) {
  arena.step();
  arena.check_size(dim(out.size()));
  if (depth > arena.limits().max_depth) throw Fault("a value is nested too deeply");
}

void append_repr(Arena& arena, const Value& v, std::string& out, int depth) {
  check(arena, out, depth);
  if (get<Undefined>(v)) {
    out += "Undefined";
  } else if (get<None>(v)) {
    out += "None";
  } else if (const auto* b = get<bool>(v)) {
    out += *b ? "True" : "False";
  } else if (const auto* i = get<std::int64_t>(v)) {
    out += std::to_string(*i);
  } else if (const auto* d = get<double>(v)) {
    out += float_repr(*d);
  } else if (const auto* s = get<std::string_view>(v)) {
    out += repr_text(*s);
  } else if (const List* list = as_list(v)) {
    out += list->tuple ? "(" : "[";
    for (std::size_t k = 0; k < list->items.size(); ++k) {
      if (k) out += ", ";
      append_repr(arena, list->items[k], out, depth + 1);
    }
    if (list->tuple) out += list->items.size() == 1 ? ",)" : ")";
    if (!list->tuple) out += "]";
  } else if (const Dict* dict = as_dict(v)) {
    out += "{";
    for (std::size_t k = 0; k < dict->items.size(); ++k) {
      if (k) out += ", ";
      append_repr(arena, dict->items[k].first, out, depth + 1);
      out += ": ";
      append_repr(arena, dict->items[k].second, out, depth + 1);
    }
    out += "}";
  } else {
    out += fmt::format("<{}>", type_name(v));
  }
}

void append_json_text(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    const std::string_view bytes = text.substr(at, std::size_t(c.bytes));
    at += bytes.size();
    constexpr std::string_view kShort = "\"\\\n\r\t\f\b", kNames = "\"\\nrtfb";
    const std::size_t known = c.value < 0x80 ? kShort.find(char(c.value)) : std::string_view::npos;
    if (known != std::string_view::npos) {
      out += {'\\', kNames[known]};
    } else if (c.value < 0x20 || (ascii && c.value >= 0x7f && c.value < 0x10000 && c.value != 0x7f)) {
      out += fmt::format("\\u{:04x}", unsigned(c.value));
    } else if (ascii && c.value >= 0x10000) {
      const unsigned rest = unsigned(c.value) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else {
      out += bytes;
    }
  }
  out += '"';
}

std::string json_key(const Value& key) {
  if (const auto* s = get<std::string_view>(key)) return std::string(*s);
  if (get<None>(key)) return "null";
  if (const auto* b = get<bool>(key)) return *b ? "true" : "false";
  if (const auto* d = get<double>(key)) return float_repr(*d);
  return std::to_string(integer(key, "a key"));
}

class JsonWriter {
 public:
  JsonWriter(Arena& arena, const JsonStyle& style) : arena_(arena), style_(style) {}
  std::string out;

  void value(const Value& v, int depth) {
    check(arena_, out, depth);
    if (get<None>(v)) {
      out += "null";
    } else if (const auto* b = get<bool>(v)) {
      out += *b ? "true" : "false";
    } else if (const auto* i = get<std::int64_t>(v)) {
      out += std::to_string(*i);
    } else if (const auto* d = get<double>(v)) {
      out += std::isnan(*d) ? "NaN" : std::isinf(*d) ? (*d < 0 ? "-Infinity" : "Infinity") : float_repr(*d);
    } else if (const auto* s = get<std::string_view>(v)) {
      append_json_text(out, *s, style_.ascii);
    } else if (const List* list = as_list(v)) {
      row(list->items, '[', ']', depth, [&](const Value& item) { value(item, depth + 1); });
    } else if (const Dict* dict = as_dict(v)) {
      auto items = dict->items;
      if (style_.sort_keys)
        std::stable_sort(items.begin(), items.end(),
                         [&](const auto& a, const auto& b2) { return less(arena_, a.first, b2.first); });
      row(items, '{', '}', depth, [&](const auto& item) {
        append_json_text(out, json_key(item.first), style_.ascii);
        out += style_.key_separator;
        value(item.second, depth + 1);
      });
    } else {
      throw Fault(fmt::format("a {} cannot be written as JSON", type_name(v)));
    }
  }

 private:
  template <class Items, class Each>
  void row(const Items& items, char open, char close, int depth, Each&& each) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += style_.item_separator;
      first = false;
      new_line(depth + 1);
      each(item);
    }
    if (!first) new_line(depth);
    out += close;
  }

  void new_line(int depth) {
    if (style_.indent < 0) return;
    arena_.check_size(dim(out.size()) + dim(style_.indent) * depth);
    out += '\n';
    out.append(std::size_t(style_.indent) * std::size_t(depth), ' ');
  }

  Arena& arena_;
  const JsonStyle& style_;
};

}  // namespace

std::string repr(Arena& arena, const Value& v) {
  std::string out;
  append_repr(arena, v, out, 0);
  return out;
}

std::string display(Arena& arena, const Value& v) {
  if (const auto* s = get<std::string_view>(v)) return std::string(*s);
  if (get<Undefined>(v)) return {};
  return repr(arena, v);
}

std::string to_json(Arena& arena, const Value& v, const JsonStyle& style) {
  JsonWriter writer(arena, style);
  writer.value(v, 0);
  return std::move(writer.out);
}

Value from_json(Arena& arena, const nlohmann::ordered_json& json, int depth) {
  if (depth > arena.limits().max_depth) throw Fault("a value is nested too deeply");
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_float() || (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t(INT64_MAX)))
    return json.get<double>();
  if (json.is_number()) return json.get<std::int64_t>();
  if (json.is_string()) return arena.text(replace_invalid_utf8(json.get_ref<const std::string&>()));
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(from_json(arena, item, depth + 1));
    return arena.list(std::move(items));
  }
  if (!json.is_object()) return None{};
  Dict dict;
  for (const auto& [key, item] : json.items())
    dict.set(arena.text(replace_invalid_utf8(key)), from_json(arena, item, depth + 1));
  return arena.dict(std::move(dict));
}

}  // namespace pith::jinja
