// Methods of dicts and lists; those that would change their owner do not exist here.
#include "io/jinja/interpreter.h"

namespace pith::jinja {

namespace {

Value dict_get(Interpreter&, const Value& self, const Arguments& given) {
  if (given.positional.empty()) throw Fault("get needs a key");
  if (const Value* found = as_dict(self)->find(given.positional[0])) return *found;
  return given.positional.size() > 1 ? given.positional[1] : Value(None{});
}

Value dict_items(Interpreter& in, const Value& self, const Arguments&) {
  std::vector<Value> items;
  in.arena().step(dim(as_dict(self)->items.size()));
  for (const auto& [key, value] : as_dict(self)->items) items.emplace_back(in.arena().list({key, value}, true));
  return in.arena().list(std::move(items));
}

Value dict_keys(Interpreter& in, const Value& self, const Arguments&) {
  return in.arena().list(items_of(in.arena(), self));
}

Value dict_values(Interpreter& in, const Value& self, const Arguments&) {
  std::vector<Value> items;
  in.arena().step(dim(as_dict(self)->items.size()));
  for (const auto& [key, value] : as_dict(self)->items) items.push_back(value);
  return in.arena().list(std::move(items));
}

Value same(Interpreter&, const Value& self, const Arguments&) { return self; }

Value mutation(Interpreter&, const Value&, const Arguments&) {
  throw Fault("lists and dicts cannot be changed; make a new one");
}

Value list_count(Interpreter& in, const Value& self, const Arguments& given) {
  std::int64_t count = 0;
  for (const Value& v : as_list(self)->items) count += equal(in.arena(), v, given.positional.at(0));
  return count;
}

Value list_index(Interpreter& in, const Value& self, const Arguments& given) {
  const auto& items = as_list(self)->items;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(in.arena(), items[i], given.positional.at(0))) return std::int64_t(i);
  throw Fault("the value is not in the list");
}

Value checked(Interpreter& in, const Value& self, const Arguments& given, Function f) {
  if (given.positional.empty()) throw Fault("the method needs a value");
  return f(in, self, given);
}

struct Entry {
  std::string_view name;
  Function function;
};
constexpr Entry kDictMethods[] = {
    {"get", dict_get}, {"items", dict_items}, {"keys", dict_keys},  {"values", dict_values}, {"copy", same},
    {"pop", mutation}, {"popitem", mutation}, {"update", mutation}, {"clear", mutation},     {"setdefault", mutation}};
constexpr Entry kListMethods[] = {
    {"count", [](Interpreter& in, const Value& s, const Arguments& a) { return checked(in, s, a, list_count); }},
    {"index", [](Interpreter& in, const Value& s, const Arguments& a) { return checked(in, s, a, list_index); }},
    {"copy", same},
    {"append", mutation},
    {"extend", mutation},
    {"insert", mutation},
    {"pop", mutation},
    {"remove", mutation},
    {"clear", mutation},
    {"sort", mutation},
    {"reverse", mutation}};

}  // namespace

Function find_method(const Value& self, std::string_view name) {
  if (get<std::string_view>(self)) return find_text_method(name);
  if (as_dict(self)) {
    for (const Entry& e : kDictMethods)
      if (e.name == name) return e.function;
  } else if (as_list(self)) {
    for (const Entry& e : kListMethods)
      if (e.name == name) return e.function;
  }
  return nullptr;
}

}  // namespace pith::jinja
