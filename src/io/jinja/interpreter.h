// Runs a syntax tree.
#pragma once
#include <ctime>
#include <string>
#include <string_view>

#include "io/jinja/syntax.h"
#include "io/jinja/value.h"

namespace pith::jinja {

// Tables of functions; nullptr when there is none of this name.
Function find_filter(std::string_view name);
Function find_text_filter(std::string_view name);
Function find_list_filter(std::string_view name);
Function find_test(std::string_view name);
Function find_global(std::string_view name);
Function find_method(const Value& self, std::string_view name);
Function find_text_method(std::string_view name);

Value binary(Arena& arena, std::string_view op, const Value& a, const Value& b);
Value slice(Arena& arena, const Value& value, const Value& from, const Value& to, const Value& step);
std::string format_text(Arena& arena, std::string_view format, const std::vector<Value>& values);

class Interpreter {
 public:
  Interpreter(const Limits& limits, const std::tm& now) : arena_(limits), now_(now) {}
  std::string run(const Block& block, const Value& variables);

  Arena& arena() { return arena_; }
  const std::tm& now() const { return now_; }
  int line() const { return line_; }  // of the statement last begun
  Value call(const Value& callee, const Arguments& arguments);
  Value member(const Value& owner, std::string_view name);  // owner.name
  Value item(const Value& owner, const Value& key);         // owner[key]
  Value path(const Value& owner, const Value& path);        // 'a.b.0', as filters name attributes
  Value filter(std::string_view name, const Value& value, const Arguments& arguments);
  bool test(std::string_view name, const Value& value, const Arguments& arguments);

 private:
  enum class Flow { on, stop, next };
  struct Nested {
    explicit Nested(Interpreter& i) : interpreter(i) {
      if (++i.depth_ > i.arena_.limits().max_depth) throw Fault("calls are nested too deeply");
    }
    ~Nested() { --interpreter.depth_; }
    Nested(const Nested&) = delete;
    Interpreter& interpreter;
  };

  Flow execute(const Block& block, Scope& scope);
  Flow execute(const Statement& s, Scope& scope);
  Flow condition(const Statement& s, Scope& scope);
  Flow with(const Statement& s, Scope& scope);
  Flow loop(const Statement& s, Scope& scope);
  Flow loop_over(const Statement& s, Scope& scope, const Value& over, dim depth);
  void assign(const Expression& target, const Value& value, Scope& scope);
  std::string_view captured(const Block& block, Scope& scope);
  Value make_macro(const Statement& s, Scope& scope);
  Value call_macro(const Callable& macro, const Arguments& arguments);
  void call_block(const Statement& s, Scope& scope);
  void write(std::string_view text);

  Value evaluate(const Expression& e, Scope& scope);
  Value evaluate_call(const Expression& e, Scope& scope, const Arguments* extra = nullptr);
  Value evaluate_filter(const Expression& e, Scope& scope, const Value* piped = nullptr);
  Value evaluate_dict(const Expression& e, Scope& scope);
  Value evaluate_slice(const Expression& e, Scope& scope);
  Value joined(const Expression& e, Scope& scope);
  bool compare(const Expression& e, Scope& scope);
  Value unary(const Expression& e, Scope& scope);
  Value lookup(std::string_view name, const Scope& scope);
  Arguments arguments(const Expression& e, Scope& scope);
  Value loop_member(const Loop& loop, std::string_view name);

  Arena arena_;
  std::tm now_;
  std::string out_;
  int line_ = 0, depth_ = 0;
};

}  // namespace pith::jinja
