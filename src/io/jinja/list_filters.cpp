// Filters over lists and dicts.
#include <algorithm>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"

namespace pith::jinja {

namespace {

Value length(Interpreter&, const Value& v, const Arguments&) {
  if (const auto* s = get<std::string_view>(v)) return character_count(*s);
  if (const List* l = as_list(v)) return dim(l->items.size());
  if (const Dict* d = as_dict(v)) return dim(d->items.size());
  if (get<Undefined>(v)) return std::int64_t(0);
  throw Fault(std::string("a ") + type_name(v) + " has no length");
}

Value list(Interpreter& in, const Value& v, const Arguments&) { return in.arena().list(items_of(in.arena(), v)); }

Value first(Interpreter& in, const Value& v, const Arguments&) {
  const auto items = items_of(in.arena(), v);
  return items.empty() ? Value(Undefined{"the first item of an empty list"}) : items.front();
}

Value last(Interpreter& in, const Value& v, const Arguments&) {
  const auto items = items_of(in.arena(), v);
  return items.empty() ? Value(Undefined{"the last item of an empty list"}) : items.back();
}

Value reverse(Interpreter& in, const Value& v, const Arguments&) {
  auto items = items_of(in.arena(), v);
  std::reverse(items.begin(), items.end());
  if (!get<std::string_view>(v)) return in.arena().list(std::move(items));
  std::string out;
  for (const Value& c : items) out += std::get<std::string_view>(c);
  return in.arena().text(std::move(out));
}

Value join(Interpreter& in, const Value& v, const Arguments& given) {
  const Value *between = given.find(0, "d"), *attribute = given.find(1, "attribute");
  const std::string by = between ? display(in.arena(), *between) : "";
  std::string out;
  bool begun = false;
  for (const Value& item : items_of(in.arena(), v)) {
    if (begun) out += by;
    begun = true;
    out += display(in.arena(), attribute ? in.path(item, *attribute) : item);
    in.arena().check_size(dim(out.size()));
  }
  return in.arena().text(std::move(out));
}

Value items(Interpreter& in, const Value& v, const Arguments& given) {
  if (get<Undefined>(v)) return in.arena().list({});
  if (!as_dict(v)) throw Fault("items takes a dict");
  return find_method(v, "items")(in, v, given);
}

// map and the choosing filters take whatever is false for an empty list.
std::vector<Value> items_or_none(Interpreter& in, const Value& v) {
  return truth(v) ? items_of(in.arena(), v) : std::vector<Value>();
}

Arguments after(const Arguments& given, std::size_t count) {
  Arguments rest;
  rest.named = given.named;
  for (std::size_t i = count; i < given.positional.size(); ++i) rest.positional.push_back(given.positional[i]);
  return rest;
}

Value map(Interpreter& in, const Value& v, const Arguments& given) {
  std::vector<Value> out;
  const Value *attribute = given.find(SIZE_MAX, "attribute"), *other = given.find(SIZE_MAX, "default");
  if (!attribute && given.positional.empty()) throw Fault("map needs a filter or an attribute");
  for (const Value& item : items_or_none(in, v)) {
    if (attribute) {
      const Value found = in.path(item, *attribute);
      out.push_back(other && get<Undefined>(found) ? *other : found);
    } else {
      out.push_back(in.filter(text_of(given.positional[0], "a filter's name"), item, after(given, 1)));
    }
  }
  return in.arena().list(std::move(out));
}

// select, reject and their forms that look at an attribute.
template <bool kWanted, bool kAttribute>
Value choose(Interpreter& in, const Value& v, const Arguments& given) {
  constexpr std::size_t kSkip = kAttribute ? 1 : 0;
  if (given.positional.size() < kSkip) throw Fault("which attribute?");
  std::vector<Value> out;
  for (const Value& item : items_or_none(in, v)) {
    const Value seen = kAttribute ? in.path(item, given.positional[0]) : item;
    const bool holds = given.positional.size() == kSkip
                           ? truth(seen)
                           : in.test(text_of(given.positional[kSkip], "a test's name"), seen, after(given, kSkip + 1));
    if (holds == kWanted) out.push_back(item);
  }
  return in.arena().list(std::move(out));
}

Value folded(Interpreter& in, const Value& v, bool case_sensitive) {
  const auto* text = get<std::string_view>(v);
  return text && !case_sensitive ? in.arena().text(lower(*text)) : v;
}

// Stable, by key, as the filters' options say.
void sort_by(Interpreter& in, std::vector<std::pair<Value, Value>>& keyed, bool backwards) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return backwards ? less(in.arena(), b.first, a.first) : less(in.arena(), a.first, b.first);
  });
}

bool flag(const Arguments& given, std::size_t place, std::string_view name) {
  const Value* v = given.find(place, name);
  return v && truth(*v);
}

Value sort(Interpreter& in, const Value& v, const Arguments& given) {
  const Value* attribute = given.find(2, "attribute");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items_of(in.arena(), v))
    keyed.emplace_back(folded(in, attribute ? in.path(item, *attribute) : item, flag(given, 1, "case_sensitive")),
                       item);
  sort_by(in, keyed, flag(given, 0, "reverse"));
  std::vector<Value> out;
  for (const auto& [key, item] : keyed) out.push_back(item);
  return in.arena().list(std::move(out));
}

Value dictsort(Interpreter& in, const Value& v, const Arguments& given) {
  const Dict* dict = as_dict(v);
  if (!dict) throw Fault("dictsort takes a dict");
  const Value* by = given.find(1, "by");
  const bool by_value = by && text_of(*by, "by") == "value";
  std::vector<std::pair<Value, Value>> keyed;
  in.arena().step(dim(dict->items.size()));
  for (const auto& [key, value] : dict->items)
    keyed.emplace_back(folded(in, by_value ? value : key, flag(given, 0, "case_sensitive")),
                       in.arena().list({key, value}, true));
  sort_by(in, keyed, flag(given, 2, "reverse"));
  std::vector<Value> out;
  for (const auto& [key, item] : keyed) out.push_back(item);
  return in.arena().list(std::move(out));
}

Value unique(Interpreter& in, const Value& v, const Arguments& given) {
  const Value* attribute = given.find(1, "attribute");
  std::vector<Value> seen, out;
  for (const Value& item : items_of(in.arena(), v)) {
    const Value key = folded(in, attribute ? in.path(item, *attribute) : item, flag(given, 0, "case_sensitive"));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return equal(in.arena(), s, key); })) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return in.arena().list(std::move(out));
}

template <bool kMost>
Value extreme(Interpreter& in, const Value& v, const Arguments& given) {
  const auto all = items_of(in.arena(), v);
  if (all.empty()) return Undefined{"the extreme of an empty list"};
  const Value* attribute = given.find(1, "attribute");
  const auto key = [&](const Value& item) {
    return folded(in, attribute ? in.path(item, *attribute) : item, flag(given, 0, "case_sensitive"));
  };
  const Value* best = &all[0];
  for (const Value& item : all)
    if (kMost ? less(in.arena(), key(*best), key(item)) : less(in.arena(), key(item), key(*best))) best = &item;
  return *best;
}

Value sum(Interpreter& in, const Value& v, const Arguments& given) {
  const Value *attribute = given.find(0, "attribute"), *start = given.find(1, "start");
  Value total = start ? *start : Value(std::int64_t(0));
  for (const Value& item : items_of(in.arena(), v))
    total = binary(in.arena(), "+", total, attribute && !get<None>(*attribute) ? in.path(item, *attribute) : item);
  return total;
}

Value attr(Interpreter& in, const Value& v, const Arguments& given) {
  if (given.positional.empty()) throw Fault("which attribute?");
  if (as_dict(v)) return Undefined{text_of(given.positional[0], "an attribute")};  // keys are no attributes
  return in.member(v, text_of(given.positional[0], "an attribute"));
}

struct Entry {
  std::string_view name;
  Function function;
};
constexpr Entry kFilters[] = {{"length", length},
                              {"count", length},
                              {"list", list},
                              {"first", first},
                              {"last", last},
                              {"reverse", reverse},
                              {"join", join},
                              {"items", items},
                              {"map", map},
                              {"select", choose<true, false>},
                              {"reject", choose<false, false>},
                              {"selectattr", choose<true, true>},
                              {"rejectattr", choose<false, true>},
                              {"sort", sort},
                              {"dictsort", dictsort},
                              {"unique", unique},
                              {"min", extreme<false>},
                              {"max", extreme<true>},
                              {"sum", sum},
                              {"attr", attr}};

}  // namespace

Function find_list_filter(std::string_view name) {
  for (const Entry& e : kFilters)
    if (e.name == name) return e.function;
  return nullptr;
}

}  // namespace pith::jinja
