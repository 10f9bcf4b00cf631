#include "io/jinja/value.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "io/jinja/text.h"

namespace pith::jinja {

const Value* Dict::find(const Value& key) const {
  if (const auto* text = jinja::get<std::string_view>(key)) {
    const auto found = by_text_.find(*text);
    return found == by_text_.end() ? nullptr : &items[found->second].second;
  }
  if (!is_number(key) && !jinja::get<None>(key)) return nullptr;
  for (const auto& [k, v] : items) {
    if (is_number(key) ? is_number(k) && number(k) == number(key) : jinja::get<None>(k) != nullptr) return &v;
  }
  return nullptr;
}

void Dict::set(const Value& key, const Value& value) {
  const auto* text = jinja::get<std::string_view>(key);
  if (!text && !is_number(key) && !jinja::get<None>(key))
    throw Fault(fmt::format("a {} cannot be a key of a dict", type_name(key)));
  if (const Value* found = find(key)) {
    *const_cast<Value*>(found) = value;  // one of our own items
    return;
  }
  if (text) by_text_.emplace(*text, items.size());
  items.emplace_back(key, value);
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [n, v] : named)
    if (n == name) return &v;
  return nullptr;
}

const Value* Scope::find(std::string_view name) const {
  for (const Scope* s = this; s; s = s->outer)
    for (const auto& [n, v] : s->names)
      if (n == name) return &v;
  return nullptr;
}

void Scope::set(std::string_view name, const Value& value) {
  for (auto& [n, v] : names)
    if (n == name) {
      v = value;
      return;
    }
  names.emplace_back(name, value);
}

void Arena::step(dim count) {
  steps_ += count;
  if (steps_ > limits_.max_steps) throw Fault(fmt::format("it takes more than {} steps", limits_.max_steps));
}

void Arena::check_size(dim bytes) const {
  if (bytes > limits_.max_output_bytes)
    throw Fault(fmt::format("it makes a text of more than {} bytes", limits_.max_output_bytes));
}

void Arena::take(dim bytes) {
  bytes_ += bytes;
  if (bytes_ > limits_.max_memory_bytes)
    throw Fault(fmt::format("its values take more than {} bytes", limits_.max_memory_bytes));
}

std::string_view Arena::text(std::string value) {
  check_size(dim(value.size()));
  take(dim(value.size() + sizeof value));
  return texts_.emplace_back(std::move(value));
}

const List* Arena::list(std::vector<Value> items, bool tuple) {
  take(dim(items.size() * sizeof(Value) + sizeof(List)));
  return &lists_.emplace_back(List{std::move(items), tuple});
}

const Dict* Arena::dict(Dict value) {
  take(dim(value.items.size() * 160 + sizeof(Dict)));  // both values, and the index
  return &dicts_.emplace_back(std::move(value));
}

Namespace* Arena::make_namespace() {
  take(dim(sizeof(Namespace)));
  return &namespaces_.emplace_back();
}

const Callable* Arena::callable(Callable value) {
  take(dim(sizeof(Callable)));
  return &callables_.emplace_back(value);
}

Loop* Arena::loop(Loop value) {
  take(dim(sizeof(Loop)));
  return &loops_.emplace_back(value);
}

Scope* Arena::scope(Scope* outer) {
  take(dim(sizeof(Scope)) + 128);  // and a few names
  return &scopes_.emplace_back(Scope{outer, {}});
}

bool is_number(const Value& v) { return get<bool>(v) || get<std::int64_t>(v) || get<double>(v); }

double number(const Value& v) {
  if (const auto* b = get<bool>(v)) return *b;
  if (const auto* i = get<std::int64_t>(v)) return double(*i);
  return std::get<double>(v);
}

const char* type_name(const Value& v) {
  constexpr const char* kNames[] = {"undefined", "none", "bool", "int",      "float", "str",
                                    "list",      "dict", "...",  "function", "loop"};
  if (v.index() == 8) return "namespace";
  return kNames[v.index()];
}

std::int64_t integer(const Value& v, const char* what) {
  if (const auto* i = get<std::int64_t>(v)) return *i;
  if (const auto* b = get<bool>(v)) return *b;
  throw Fault(fmt::format("{} must be an int, not a {}", what, type_name(v)));
}

std::string_view text_of(const Value& v, const char* what) {
  if (const auto* s = get<std::string_view>(v)) return *s;
  if (const auto* u = get<Undefined>(v)) throw Fault(fmt::format("'{}' is undefined", u->name));
  throw Fault(fmt::format("{} must be a str, not a {}", what, type_name(v)));
}

bool truth(const Value& v) {
  if (get<Undefined>(v) || get<None>(v)) return false;
  if (is_number(v)) return number(v) != 0;
  if (const auto* s = get<std::string_view>(v)) return !s->empty();
  if (const List* l = as_list(v)) return !l->items.empty();
  if (const Dict* d = as_dict(v)) return !d->items.empty();
  return true;
}

namespace {

void check_depth(const Arena& arena, int depth) {
  if (depth > arena.limits().max_depth) throw Fault("a value is nested too deeply");
}

bool equal_lists(Arena& arena, const List& a, const List& b, int depth) {
  if (a.items.size() != b.items.size() || a.tuple != b.tuple) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equal(arena, a.items[i], b.items[i], depth + 1)) return false;
  return true;
}

bool equal_dicts(Arena& arena, const Dict& a, const Dict& b, int depth) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = b.find(key);
    if (!other || !equal(arena, value, *other, depth + 1)) return false;
  }
  return true;
}

}  // namespace

bool equal(Arena& arena, const Value& a, const Value& b, int depth) {
  arena.step();
  check_depth(arena, depth);
  if (is_number(a) && is_number(b)) {
    if (!get<double>(a) && !get<double>(b)) return integer(a, "") == integer(b, "");
    return number(a) == number(b);
  }
  if (a.index() != b.index()) return false;
  if (get<Undefined>(a) || get<None>(a)) return true;
  if (const auto* s = get<std::string_view>(a)) {
    arena.step(dim(s->size() / 1024));
    return *s == std::get<std::string_view>(b);
  }
  if (as_list(a)) return equal_lists(arena, *as_list(a), *as_list(b), depth);
  if (as_dict(a)) return equal_dicts(arena, *as_dict(a), *as_dict(b), depth);
  if (const auto* n = get<Namespace*>(a)) return *n == std::get<Namespace*>(b);
  if (const auto* c = get<const Callable*>(a)) return *c == std::get<const Callable*>(b);
  return std::get<const Loop*>(a) == std::get<const Loop*>(b);
}

bool less(Arena& arena, const Value& a, const Value& b, int depth) {
  arena.step();
  check_depth(arena, depth);
  if (is_number(a) && is_number(b)) {
    if (!get<double>(a) && !get<double>(b)) return integer(a, "") < integer(b, "");
    return number(a) < number(b);
  }
  const auto *s = get<std::string_view>(a), *t = get<std::string_view>(b);
  if (s && t) return *s < *t;
  const List *l = as_list(a), *m = as_list(b);
  if (!l || !m || l->tuple != m->tuple)
    throw Fault(fmt::format("a {} and a {} have no order", type_name(a), type_name(b)));
  for (std::size_t i = 0; i < std::min(l->items.size(), m->items.size()); ++i)
    if (!equal(arena, l->items[i], m->items[i], depth + 1)) return less(arena, l->items[i], m->items[i], depth + 1);
  return l->items.size() < m->items.size();
}

bool contains(Arena& arena, const Value& container, const Value& item) {
  if (const auto* s = get<std::string_view>(container)) {
    arena.step(dim(s->size() / 64));
    return s->find(text_of(item, "what is looked for in a str")) != std::string_view::npos;
  }
  if (const Dict* d = as_dict(container)) return d->find(item) != nullptr;
  if (get<Undefined>(container)) return false;
  const List* list = as_list(container);
  if (!list) throw Fault(fmt::format("nothing can be in a {}", type_name(container)));
  return std::any_of(list->items.begin(), list->items.end(), [&](const Value& v) { return equal(arena, v, item); });
}

std::vector<Value> items_of(Arena& arena, const Value& v) {
  std::vector<Value> items;
  if (get<Undefined>(v)) return items;
  if (const List* l = as_list(v)) {
    items = l->items;
  } else if (const Dict* d = as_dict(v)) {
    for (const auto& item : d->items) items.push_back(item.first);
  } else if (const auto* s = get<std::string_view>(v)) {
    arena.step(dim(s->size()));
    for (const auto c : characters(*s)) items.emplace_back(c);
  } else {
    throw Fault(fmt::format("a {} cannot be looped over", type_name(v)));
  }
  arena.step(dim(items.size()));
  return items;
}

}  // namespace pith::jinja
