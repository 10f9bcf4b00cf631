// Methods of texts, as Python has them.
#include <utf8proc.h>

#include <algorithm>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"
#include "io/unicode.h"

namespace pith::jinja {

namespace {

std::string_view own(const Value& self) { return std::get<std::string_view>(self); }

std::optional<std::string_view> set_of(const Arguments& given) {
  const Value* set = given.find(0, "chars");
  if (!set || get<None>(*set)) return {};
  return text_of(*set, "the characters to strip");
}

template <bool kLeft, bool kRight>
Value stripped(Interpreter& in, const Value& self, const Arguments& given) {
  const auto set = set_of(given);
  in.arena().step(dim(own(self).size() / 256));
  return strip(own(self), kLeft, kRight, set);
}

Value text_list(Interpreter& in, const std::vector<std::string_view>& parts, bool tuple = false) {
  in.arena().step(dim(parts.size()));
  return in.arena().list({parts.begin(), parts.end()}, tuple);
}

template <bool kFromRight>
Value split_text(Interpreter& in, const Value& self, const Arguments& given) {
  const Value *separator = given.find(0, "sep"), *most = given.find(1, "maxsplit");
  const dim limit = most ? integer(*most, "maxsplit") : -1;
  in.arena().step(dim(own(self).size() / 16));
  if (!separator || get<None>(*separator)) {
    if (kFromRight && limit >= 0) throw Fault("rsplit with a limit needs a separator");
    return text_list(in, split_space(own(self), limit));
  }
  const std::string_view by = text_of(*separator, "a separator");
  if (by.empty()) throw Fault("an empty separator");
  return text_list(in, kFromRight ? split_from_right(own(self), by, limit) : split(own(self), by, limit));
}

template <bool kEnd>
Value affix(Interpreter& in, const Value& self, const Arguments& given) {
  if (given.positional.empty()) throw Fault("startswith and endswith need a text");
  const auto matches = [&](const Value& v) {
    const std::string_view part = text_of(v, "what a text starts or ends with");
    return kEnd ? own(self).ends_with(part) : own(self).starts_with(part);
  };
  const List* many = as_list(given.positional[0]);
  if (!many) return matches(given.positional[0]);
  in.arena().step(dim(many->items.size()));
  return std::any_of(many->items.begin(), many->items.end(), matches);
}

template <bool kEnd>
Value without_affix(Interpreter&, const Value& self, const Arguments& given) {
  if (given.positional.empty()) throw Fault("removeprefix and removesuffix need a text");
  const std::string_view part = text_of(given.positional[0], "an affix"), text = own(self);
  if (kEnd) return text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text;
  return text.starts_with(part) ? text.substr(part.size()) : text;
}

Value find_text(Interpreter& in, const Value& self, const Arguments& given, bool last) {
  if (given.positional.size() != 1) throw Fault("find needs one text");
  in.arena().step(dim(own(self).size() / 16));
  const std::string_view part = text_of(given.positional[0], "what is looked for");
  const std::size_t at = last ? own(self).rfind(part) : own(self).find(part);
  return at == std::string_view::npos ? -1 : character_count(own(self).substr(0, at));
}

Value index_of(Interpreter& in, const Value& self, const Arguments& given) {
  const Value at = find_text(in, self, given, false);
  if (std::get<std::int64_t>(at) < 0) throw Fault("the text does not occur");
  return at;
}

Value count(Interpreter& in, const Value& self, const Arguments& given) {
  if (given.positional.empty()) throw Fault("count needs a text");
  in.arena().step(dim(own(self).size() / 16));
  const std::string_view part = text_of(given.positional[0], "what is counted");
  if (part.empty()) return character_count(own(self)) + 1;
  return std::int64_t(split(own(self), part, -1).size()) - 1;
}

Value join(Interpreter& in, const Value& self, const Arguments& given) {
  if (given.positional.empty()) throw Fault("join needs a list");
  std::string out;
  bool first = true;
  for (const Value& v : items_of(in.arena(), given.positional[0])) {
    if (!first) out += own(self);
    first = false;
    out += text_of(v, "what is joined");
    in.arena().check_size(dim(out.size()));
  }
  return in.arena().text(std::move(out));
}

template <std::string (*kConvert)(std::string_view)>
Value converted(Interpreter& in, const Value& self, const Arguments&) {
  in.arena().step(dim(own(self).size() / 16));
  return in.arena().text(kConvert(own(self)));
}

Value lines(Interpreter& in, const Value& self, const Arguments&) { return text_list(in, split_lines(own(self))); }

Value replaced(Interpreter& in, const Value& self, const Arguments& given) {
  return find_text_filter("replace")(in, self, given);
}

// Whether there is a character and every one is of these categories.
template <class Is>
Value all_of(Interpreter& in, const Value& self, Is&& is) {
  in.arena().step(dim(own(self).size() / 16));
  for (const auto c : characters(own(self)))
    if (!is(decode_utf8(c, 0).value)) return false;
  return !own(self).empty();
}
bool is_letter(char32_t c) {
  const auto category = utf8proc_category(utf8proc_int32_t(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t c) { return utf8proc_category(utf8proc_int32_t(c)) == UTF8PROC_CATEGORY_ND; }

template <bool kUpper>
Value is_case(Interpreter& in, const Value& self, const Arguments&) {
  const std::string_view text = own(self);
  in.arena().step(dim(text.size() / 16));
  const std::string up = upper(text), low = lower(text);
  return up != low && text == (kUpper ? up : low);
}

struct Entry {
  std::string_view name;
  Function function;
};
using In = Interpreter;
using V = Value;
using A = Arguments;
constexpr Entry kMethods[] = {
    {"strip", stripped<true, true>},
    {"lstrip", stripped<true, false>},
    {"rstrip", stripped<false, true>},
    {"split", split_text<false>},
    {"rsplit", split_text<true>},
    {"splitlines", lines},
    {"startswith", affix<false>},
    {"endswith", affix<true>},
    {"removeprefix", without_affix<false>},
    {"removesuffix", without_affix<true>},
    {"find", [](In& in, const V& s, const A& a) { return find_text(in, s, a, false); }},
    {"rfind", [](In& in, const V& s, const A& a) { return find_text(in, s, a, true); }},
    {"index", index_of},
    {"count", count},
    {"join", join},
    {"replace", replaced},
    {"upper", converted<upper>},
    {"lower", converted<lower>},
    {"title", converted<title>},
    {"capitalize", converted<capitalize>},
    {"isalpha", [](In& in, const V& s, const A&) { return all_of(in, s, is_letter); }},
    {"isdigit", [](In& in, const V& s, const A&) { return all_of(in, s, is_decimal); }},
    {"isdecimal", [](In& in, const V& s, const A&) { return all_of(in, s, is_decimal); }},
    {"isnumeric", [](In& in, const V& s, const A&) { return all_of(in, s, is_decimal); }},
    {"isalnum", [](In& in, const V& s,
                   const A&) { return all_of(in, s, [](char32_t c) { return is_letter(c) || is_decimal(c); }); }},
    {"isspace", [](In& in, const V& s, const A&) { return all_of(in, s, is_space); }},
    {"isupper", is_case<true>},
    {"islower", is_case<false>},
};

}  // namespace

Function find_text_method(std::string_view name) {
  for (const Entry& e : kMethods)
    if (e.name == name) return e.function;
  return nullptr;
}

}  // namespace pith::jinja
