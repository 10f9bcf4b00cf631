// The functions a template may call by name.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "io/jinja/interpreter.h"
#include "io/printable.h"

namespace pith::jinja {

namespace {

Value range(Interpreter& in, const Value&, const Arguments& given) {
  const auto& p = given.positional;
  if (p.empty() || p.size() > 3) throw Fault("range takes one to three numbers");
  const std::int64_t begin = p.size() > 1 ? integer(p[0], "a bound") : 0;
  const std::int64_t end = integer(p[p.size() > 1 ? 1 : 0], "a bound");
  const std::int64_t step = p.size() > 2 ? integer(p[2], "a step") : 1;
  if (step == 0) throw Fault("range cannot have step 0");
  const dim most = in.arena().limits().max_range;
  std::vector<Value> items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (dim(items.size()) == most) throw Fault(fmt::format("a range of more than {} numbers", most));
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  in.arena().step(dim(items.size()));
  return in.arena().list(std::move(items));
}

Value make_namespace(Interpreter& in, const Value&, const Arguments& given) {
  Namespace* space = in.arena().make_namespace();
  const auto set = [&](std::string_view name, const Value& value) {
    for (auto& [n, v] : space->members)
      if (n == name) {
        v = value;
        return;
      }
    space->members.emplace_back(name, value);
  };
  for (const Value& from : given.positional) {
    const Dict* dict = as_dict(from);
    if (!dict) throw Fault("namespace takes dicts and named values");
    in.arena().step(dim(dict->items.size() * dict->items.size() / 16));
    for (const auto& [name, value] : dict->items) set(text_of(name, "a member's name"), value);
  }
  for (const auto& [name, value] : given.named) set(name, value);
  return space;
}

Value make_dict(Interpreter& in, const Value&, const Arguments& given) {
  Dict dict;
  for (const Value& from : given.positional) {
    const Dict* other = as_dict(from);
    if (!other) throw Fault("dict takes dicts and named values");
    for (const auto& [key, value] : other->items) dict.set(key, value);
  }
  for (const auto& [name, value] : given.named) dict.set(name, value);
  return in.arena().dict(std::move(dict));
}

Value raise_exception(Interpreter& in, const Value&, const Arguments& given) {
  const Value* message = given.find(0, "message");
  throw Fault(
      fmt::format("the template refuses: {}", message ? printable(display(in.arena(), *message)) : "no reason"));
}

Value strftime_now(Interpreter& in, const Value&, const Arguments& given) {
  const Value* format = given.find(0, "format");
  if (!format) throw Fault("strftime_now needs a format");
  const std::string text(text_of(*format, "a format"));
  if (text.empty()) return std::string_view();
  if (text.size() > 256) throw Fault("a date format too long");
  std::array<char, 4096> out{};
  return in.arena().text(std::string(out.data(), std::strftime(out.data(), out.size(), text.c_str(), &in.now())));
}

struct Entry {
  std::string_view name;
  Function function;
};
constexpr Entry kGlobals[] = {{"range", range},
                              {"namespace", make_namespace},
                              {"dict", make_dict},
                              {"raise_exception", raise_exception},
                              {"strftime_now", strftime_now}};

}  // namespace

Function find_global(std::string_view name) {
  for (const Entry& e : kGlobals)
    if (e.name == name) return e.function;
  return nullptr;
}

}  // namespace pith::jinja
