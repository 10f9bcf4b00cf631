// Expressions.
#include <fmt/core.h>

#include <charconv>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"
#include "io/printable.h"

namespace pith::jinja {

using Kind = ExpressionKind;

Value Interpreter::evaluate(const Expression& e, Scope& scope) {
  const Nested nested(*this);
  arena_.step();
  switch (e.kind) {
    case Kind::literal:
      return e.value;
    case Kind::name:
      return lookup(e.text, scope);
    case Kind::list:
    case Kind::tuple: {
      std::vector<Value> items;
      for (const auto& child : e.children) items.push_back(evaluate(*child, scope));
      return arena_.list(std::move(items), e.kind == Kind::tuple);
    }
    case Kind::dict:
      return evaluate_dict(e, scope);
    case Kind::member:
      return member(evaluate(*e.children[0], scope), e.text);
    case Kind::item: {
      const Value owner = evaluate(*e.children[0], scope);
      return item(owner, evaluate(*e.children[1], scope));
    }
    case Kind::slice:
      return evaluate_slice(e, scope);
    case Kind::call:
      return evaluate_call(e, scope);
    case Kind::filter:
      return evaluate_filter(e, scope);
    case Kind::test: {
      const Value value = evaluate(*e.children[0], scope);
      return test(e.text, value, arguments(e, scope));
    }
    case Kind::unary:
      return unary(e, scope);
    case Kind::binary: {
      Value left = evaluate(*e.children[0], scope);
      if (e.text == "and" ? !truth(left) : e.text == "or" && truth(left)) return left;
      const Value right = evaluate(*e.children[1], scope);
      return e.text == "and" || e.text == "or" ? right : binary(arena_, e.text, left, right);
    }
    case Kind::compare:
      return compare(e, scope);
    case Kind::concatenation:
      return joined(e, scope);
    case Kind::condition:
      if (truth(evaluate(*e.children[0], scope))) return evaluate(*e.children[1], scope);
      return e.children.size() > 2 ? evaluate(*e.children[2], scope)
                                   : Value(Undefined{"the inline if without an else"});
  }
  return None{};
}

Value Interpreter::lookup(std::string_view name, const Scope& scope) {
  if (const Value* found = scope.find(name)) return *found;
  if (const Function function = find_global(name)) {
    Callable global;
    global.name = name;
    global.function = function;
    return arena_.callable(global);
  }
  return Undefined{name};
}

Arguments Interpreter::arguments(const Expression& e, Scope& scope) {
  Arguments all;
  const std::size_t positional = e.arguments.size() - e.keywords.size();
  for (std::size_t i = 0; i < e.arguments.size(); ++i) {
    Value value = evaluate(*e.arguments[i], scope);
    if (i < positional) {
      all.positional.push_back(value);
    } else {
      all.named.emplace_back(e.keywords[i - positional], value);
    }
  }
  if (e.more_positional)
    for (const Value& value : items_of(arena_, evaluate(*e.more_positional, scope))) all.positional.push_back(value);
  if (e.more_named) {
    const Value more = evaluate(*e.more_named, scope);
    const Dict* dict = as_dict(more);
    if (!dict) throw Fault("what follows ** must be a dict");
    for (const auto& [key, value] : dict->items) all.named.emplace_back(text_of(key, "a name"), value);
  }
  return all;
}

Value Interpreter::evaluate_call(const Expression& e, Scope& scope, const Arguments* extra) {
  const Value callee = evaluate(*e.children[0], scope);
  Arguments given = arguments(e, scope);
  if (extra) given.named.insert(given.named.end(), extra->named.begin(), extra->named.end());
  return call(callee, given);
}

Value Interpreter::call(const Value& callee, const Arguments& given) {
  if (const auto* loop = get<const Loop*>(callee)) {
    const Loop& around = **loop;
    if (!around.statement || given.positional.size() != 1) throw Fault("a loop is called with one list, if recursive");
    std::string before = std::exchange(out_, {});
    const Nested nested(*this);
    loop_over(*around.statement, *around.scope, given.positional[0], around.depth + 1);
    return arena_.text(std::exchange(out_, std::move(before)));
  }
  const auto* callable = get<const Callable*>(callee);
  if (!callable) {
    if (const auto* u = get<Undefined>(callee)) throw Fault(fmt::format("{} is undefined", printable(u->name)));
    throw Fault(fmt::format("a {} cannot be called", type_name(callee)));
  }
  if ((*callable)->macro) return call_macro(**callable, given);
  return (*callable)->function(*this, (*callable)->self, given);
}

Value Interpreter::evaluate_filter(const Expression& e, Scope& scope, const Value* piped) {
  const Value value = !e.children[0]                                 ? *piped
                      : piped && e.children[0]->kind == Kind::filter ? evaluate_filter(*e.children[0], scope, piped)
                                                                     : evaluate(*e.children[0], scope);
  return filter(e.text, value, arguments(e, scope));
}

Value Interpreter::filter(std::string_view name, const Value& value, const Arguments& given) {
  const Function function = find_filter(name);
  if (!function) throw Fault(fmt::format("there is no filter {}", printable(name)));
  return function(*this, value, given);
}

bool Interpreter::test(std::string_view name, const Value& value, const Arguments& given) {
  const Function function = find_test(name);
  if (!function) throw Fault(fmt::format("there is no test {}", printable(name)));
  return truth(function(*this, value, given));
}

Value Interpreter::evaluate_dict(const Expression& e, Scope& scope) {
  Dict dict;
  for (std::size_t i = 0; i + 1 < e.children.size(); i += 2) {
    const Value key = evaluate(*e.children[i], scope);
    arena_.step(dim(dict.items.size() / 8));
    dict.set(key, evaluate(*e.children[i + 1], scope));
  }
  return arena_.dict(std::move(dict));
}

Value Interpreter::evaluate_slice(const Expression& e, Scope& scope) {
  const Value value = evaluate(*e.children[0], scope);
  Value part[3] = {None{}, None{}, None{}};
  for (std::size_t i = 0; i < 3; ++i)
    if (e.children[i + 1]) part[i] = evaluate(*e.children[i + 1], scope);
  return slice(arena_, value, part[0], part[1], part[2]);
}

Value Interpreter::joined(const Expression& e, Scope& scope) {
  std::string text;
  for (const auto& child : e.children) {
    text += display(arena_, evaluate(*child, scope));
    arena_.check_size(dim(text.size()));
  }
  return arena_.text(std::move(text));
}

bool Interpreter::compare(const Expression& e, Scope& scope) {
  Value left = evaluate(*e.children[0], scope);
  for (std::size_t i = 0; i < e.names.size(); ++i) {
    const Value right = evaluate(*e.children[i + 1], scope);
    const std::string& op = e.names[i];
    const bool holds = op == "=="       ? equal(arena_, left, right)
                       : op == "!="     ? !equal(arena_, left, right)
                       : op == "<"      ? less(arena_, left, right)
                       : op == ">"      ? less(arena_, right, left)
                       : op == "<="     ? less(arena_, left, right) || equal(arena_, left, right)
                       : op == ">="     ? less(arena_, right, left) || equal(arena_, left, right)
                       : op == "not in" ? !contains(arena_, right, left)
                                        : contains(arena_, right, left);
    if (!holds) return false;
    left = right;
  }
  return true;
}

Value Interpreter::unary(const Expression& e, Scope& scope) {
  const Value value = evaluate(*e.children[0], scope);
  if (e.text == "not") return !truth(value);
  if (const auto* d = get<double>(value)) return e.text == "-" ? -*d : *d;
  const std::int64_t i = integer(value, "what has a sign");
  if (e.text == "+") return i;
  return binary(arena_, "-", std::int64_t(0), value);
}

Value Interpreter::member(const Value& owner, std::string_view name) {
  if (const auto* u = get<Undefined>(owner)) throw Fault(fmt::format("{} is undefined", printable(u->name)));
  if (const auto* loop = get<const Loop*>(owner)) return loop_member(**loop, name);
  if (const auto* space = get<Namespace*>(owner)) {
    for (const auto& [n, v] : (*space)->members)
      if (n == name) return v;
    return Undefined{name};
  }
  if (const Function method = find_method(owner, name)) {
    Callable bound;
    bound.name = name;
    bound.function = method;
    bound.self = owner;
    return arena_.callable(bound);
  }
  if (const Dict* dict = as_dict(owner))
    if (const Value* found = dict->find(name)) return *found;
  return Undefined{name};
}

Value Interpreter::item(const Value& owner, const Value& key) {
  if (const auto* u = get<Undefined>(owner)) throw Fault(fmt::format("{} is undefined", printable(u->name)));
  if (const Dict* dict = as_dict(owner))
    if (const Value* found = dict->find(key)) return *found;
  if (const auto* name = get<std::string_view>(key)) return member(owner, *name);
  if (const auto* place = get<std::int64_t>(key)) {
    const auto* text = get<std::string_view>(owner);
    const List* list = as_list(owner);
    if (text || list) {
      std::vector<std::string_view> letters;
      if (text) {
        arena_.step(dim(text->size() / 8));
        letters = characters(*text);
      }
      const dim size = dim(list ? list->items.size() : letters.size());
      const dim at = *place < 0 ? *place + size : *place;
      if (at >= 0 && at < size) return list ? list->items[std::size_t(at)] : Value(letters[std::size_t(at)]);
    }
  }
  return Undefined{"an item"};
}

Value Interpreter::path(const Value& owner, const Value& names) {
  if (!get<std::string_view>(names)) return item(owner, names);
  Value value = owner;
  for (const std::string_view part : split(std::get<std::string_view>(names), ".", -1)) {
    std::int64_t place = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), place);
    const bool is_place = !part.empty() && read.ec == std::errc() && read.ptr == part.data() + part.size();
    value = is_place ? item(value, place) : item(value, part);
  }
  return value;
}

namespace {

Value cycle(Interpreter&, const Value& self, const Arguments& given) {
  const Loop& loop = *std::get<const Loop*>(self);
  if (given.positional.empty()) throw Fault("cycle needs values");
  return given.positional[loop.at % given.positional.size()];
}

}  // namespace

Value Interpreter::loop_member(const Loop& loop, std::string_view name) {
  const auto at = std::int64_t(loop.at), size = std::int64_t(loop.items->size());
  if (name == "index") return at + 1;
  if (name == "index0") return at;
  if (name == "revindex") return size - at;
  if (name == "revindex0") return size - at - 1;
  if (name == "first") return at == 0;
  if (name == "last") return at + 1 == size;
  if (name == "length") return size;
  if (name == "depth") return loop.depth;
  if (name == "depth0") return loop.depth - 1;
  if (name == "previtem") return at > 0 ? (*loop.items)[loop.at - 1] : Value(Undefined{"the item before the first"});
  if (name == "nextitem")
    return at + 1 < size ? (*loop.items)[loop.at + 1] : Value(Undefined{"the item after the last"});
  if (name != "cycle") return Undefined{name};
  Callable bound;
  bound.name = name;
  bound.function = cycle;
  bound.self = &loop;
  return arena_.callable(bound);
}

}  // namespace pith::jinja
