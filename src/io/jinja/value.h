// What a template computes with. Values are small and point into an Arena, which owns every text and container until
// the rendering ends and counts what they cost.
#pragma once
#include <deque>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "io/jinja/jinja.h"

namespace pith::jinja {

// Why a template cannot be read or rendered; render() adds the line and makes it an Error.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Undefined {
  std::string_view name;
};
struct None {};
struct List;
struct Dict;
struct Namespace;
struct Callable;
struct Loop;
// Text is UTF-8 and counts in characters.
using Value = std::variant<Undefined, None, bool, std::int64_t, double, std::string_view, const List*, const Dict*,
                           Namespace*, const Callable*, const Loop*>;

struct List {
  std::vector<Value> items;
  bool tuple = false;  // differs in how it prints only
};

// Keeps the order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  const Value* find(const Value& key) const;
  void set(const Value& key, const Value& value);  // key: None, a truth value, a number or text; else Fault

 private:
  std::unordered_map<std::string_view, std::size_t> by_text_;
};

struct Namespace {
  std::vector<std::pair<std::string_view, Value>> members;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
  // The argument at this place or of this name; nullptr when it was not given.
  const Value* find(std::size_t place, std::string_view name) const;
};

class Interpreter;
struct Statement;
struct Scope;
// Filters, tests, methods and global functions alike: self is the piped or owning value.
using Function = Value (*)(Interpreter&, const Value& self, const Arguments&);

struct Callable {
  std::string_view name;
  Function function = nullptr;  // else a macro or the caller of a call block:
  Value self = Undefined{};
  const Statement* macro = nullptr;
  Scope* scope = nullptr;  // where the macro was defined
};

struct Loop {
  const std::vector<Value>* items;
  std::size_t at = 0;
  dim depth = 1;
  const Statement* statement = nullptr;
  Scope* scope = nullptr;  // around the loop
};

// Names bound in a template, a loop's round or a macro's call.
struct Scope {
  Scope* outer = nullptr;
  std::vector<std::pair<std::string_view, Value>> names;
  const Value* find(std::string_view name) const;  // here or further out
  void set(std::string_view name, const Value& value);
};

class Arena {
 public:
  explicit Arena(const Limits& limits) : limits_(limits) {}
  const Limits& limits() const { return limits_; }
  void step(dim count = 1);
  void check_size(dim bytes) const;  // of a text about to be made
  std::string_view text(std::string value);
  // Text marked safe stays as it is, and escapes what + joins to it.
  void mark_safe(std::string_view text) { safe_.insert(text.data()); }
  bool is_safe(std::string_view text) const { return safe_.count(text.data()) > 0; }
  const List* list(std::vector<Value> items, bool tuple = false);
  const Dict* dict(Dict value);
  Namespace* make_namespace();
  const Callable* callable(Callable value);
  Loop* loop(Loop value);
  Scope* scope(Scope* outer);

 private:
  void take(dim bytes);
  Limits limits_;
  dim steps_ = 0, bytes_ = 0;
  std::unordered_set<const char*> safe_;
  std::deque<std::string> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> namespaces_;
  std::deque<Callable> callables_;
  std::deque<Loop> loops_;
  std::deque<Scope> scopes_;
};

template <class T>
const T* get(const Value& value) {
  return std::get_if<T>(&value);
}
inline const List* as_list(const Value& v) {
  const auto* p = std::get_if<const List*>(&v);
  return p ? *p : nullptr;
}
inline const Dict* as_dict(const Value& v) {
  const auto* p = std::get_if<const Dict*>(&v);
  return p ? *p : nullptr;
}

bool truth(const Value& value);
bool equal(Arena& arena, const Value& a, const Value& b, int depth = 0);
bool less(Arena& arena, const Value& a, const Value& b, int depth = 0);  // Fault when they have no order
bool contains(Arena& arena, const Value& container, const Value& item);
bool is_number(const Value& value);  // truth values count
double number(const Value& value);   // of an is_number
const char* type_name(const Value& value);
std::int64_t integer(const Value& value, const char* what);      // Fault unless whole
std::string_view text_of(const Value& value, const char* what);  // Fault unless text
std::vector<Value> items_of(Arena& arena, const Value& value);   // what a loop over it sees

std::string display(Arena& arena, const Value& value);  // as {{ }} prints it
std::string repr(Arena& arena, const Value& value);     // as it prints inside a list
std::string float_repr(double value);

struct JsonStyle {
  int indent = -1;  // -1: one line
  std::string_view item_separator, key_separator;
  bool sort_keys = false, ascii = false;
};
std::string to_json(Arena& arena, const Value& value, const JsonStyle& style);
Value from_json(Arena& arena, const nlohmann::ordered_json& json, int depth = 0);

}  // namespace pith::jinja
