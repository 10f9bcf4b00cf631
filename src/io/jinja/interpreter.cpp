#include "io/jinja/interpreter.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"

namespace pith::jinja {

std::string Interpreter::run(const Block& block, const Value& variables) {
  Scope* outermost = arena_.scope(nullptr);
  if (const Dict* dict = as_dict(variables))
    for (const auto& [name, value] : dict->items) outermost->set(text_of(name, "a name"), value);
  execute(block, *arena_.scope(outermost));
  return std::move(out_);
}

void Interpreter::write(std::string_view text) {
  arena_.check_size(dim(out_.size() + text.size()));
  out_ += text;
}

Interpreter::Flow Interpreter::execute(const Block& block, Scope& scope) {
  const Nested nested(*this);
  for (const auto& s : block) {
    arena_.step();
    line_ = s->line;
    if (const Flow flow = execute(*s, scope); flow != Flow::on) return flow;
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::execute(const Statement& s, Scope& scope) {
  switch (s.kind) {
    case StatementKind::text:
      write(s.text);
      break;
    case StatementKind::output:
      write(display(arena_, evaluate(*s.expressions[0], scope)));
      break;
    case StatementKind::condition:
      return condition(s, scope);
    case StatementKind::loop:
      return loop(s, scope);
    case StatementKind::assign:
      assign(*s.targets[0], evaluate(*s.expressions[0], scope), scope);
      break;
    case StatementKind::assign_block: {
      Value value = captured(s.bodies[0], *arena_.scope(&scope));
      if (s.expressions[0]) value = evaluate_filter(*s.expressions[0], scope, &value);
      assign(*s.targets[0], value, scope);
      break;
    }
    case StatementKind::macro:
      scope.set(s.text, make_macro(s, scope));
      break;
    case StatementKind::call:
      call_block(s, scope);
      break;
    case StatementKind::filter: {
      const Value value = captured(s.bodies[0], *arena_.scope(&scope));
      write(display(arena_, evaluate_filter(*s.expressions[0], scope, &value)));
      break;
    }
    case StatementKind::with:
      return with(s, scope);
    case StatementKind::plain:
      return execute(s.bodies[0], scope);
    case StatementKind::stop:
      return Flow::stop;
    case StatementKind::next:
      return Flow::next;
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::condition(const Statement& s, Scope& scope) {
  for (std::size_t i = 0; i < s.expressions.size(); ++i)
    if (truth(evaluate(*s.expressions[i], scope))) return execute(s.bodies[i], scope);
  return s.bodies.size() > s.expressions.size() ? execute(s.bodies.back(), scope) : Flow::on;
}

Interpreter::Flow Interpreter::with(const Statement& s, Scope& scope) {
  Scope* inner = arena_.scope(&scope);
  for (std::size_t i = 0; i < s.targets.size(); ++i) assign(*s.targets[i], evaluate(*s.expressions[i], scope), *inner);
  return execute(s.bodies[0], *inner);
}

Interpreter::Flow Interpreter::loop(const Statement& s, Scope& scope) {
  return loop_over(s, scope, evaluate(*s.expressions[0], scope), 1);
}

Interpreter::Flow Interpreter::loop_over(const Statement& s, Scope& scope, const Value& over, dim depth) {
  std::vector<Value> items = items_of(arena_, over);
  if (s.expressions[1]) {
    std::vector<Value> kept;
    for (const Value& item : items) {
      Scope* round = arena_.scope(&scope);
      assign(*s.targets[0], item, *round);
      if (truth(evaluate(*s.expressions[1], *round))) kept.push_back(item);
    }
    items = std::move(kept);
  }
  const List* list = arena_.list(std::move(items));
  Loop* state = arena_.loop({&list->items, 0, depth, s.text.empty() ? nullptr : &s, &scope});
  for (; state->at < list->items.size(); ++state->at) {
    Scope* round = arena_.scope(&scope);
    round->set("loop", static_cast<const Loop*>(state));
    assign(*s.targets[0], list->items[state->at], *round);
    if (execute(s.bodies[0], *round) == Flow::stop) break;
  }
  if (list->items.empty() && s.bodies.size() > 1) return execute(s.bodies[1], *arena_.scope(&scope));
  return Flow::on;
}

void Interpreter::assign(const Expression& target, const Value& value, Scope& scope) {
  if (target.kind == ExpressionKind::name) return scope.set(target.text, value);
  if (target.kind == ExpressionKind::member) {
    const Value owner = lookup(target.children[0]->text, scope);
    auto* const* space = std::get_if<Namespace*>(&owner);
    if (!space) throw Fault(fmt::format("'{}' is not a namespace", target.children[0]->text));
    for (auto& [name, old] : (*space)->members)
      if (name == target.text) {
        old = value;
        return;
      }
    (*space)->members.emplace_back(target.text, value);
    return;
  }
  const std::vector<Value> items = items_of(arena_, value);
  if (items.size() != target.children.size())
    throw Fault(fmt::format("{} values for {} names", items.size(), target.children.size()));
  for (std::size_t i = 0; i < items.size(); ++i) assign(*target.children[i], items[i], scope);
}

std::string_view Interpreter::captured(const Block& block, Scope& scope) {
  std::string around = std::exchange(out_, {});
  execute(block, scope);
  return arena_.text(std::exchange(out_, std::move(around)));
}

Value Interpreter::make_macro(const Statement& s, Scope& scope) {
  Callable macro;
  macro.name = s.text;
  macro.macro = &s;
  macro.scope = &scope;
  return arena_.callable(macro);
}

Value Interpreter::call_macro(const Callable& macro, const Arguments& given) {
  const Nested nested(*this);
  const Statement& s = *macro.macro;
  Scope* scope = arena_.scope(macro.scope);
  const std::size_t required = s.parameters.size() - s.expressions.size();
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const Value* value = given.find(i, s.parameters[i]);
    scope->set(s.parameters[i], value           ? *value
                                : i >= required ? evaluate(*s.expressions[i - required], *scope)
                                                : Value(Undefined{s.parameters[i]}));
  }
  std::vector<Value> more;
  for (std::size_t i = s.parameters.size(); i < given.positional.size(); ++i) more.push_back(given.positional[i]);
  Dict named;
  for (const auto& [name, value] : given.named) {
    if (name == "caller") {
      scope->set(name, value);
    } else if (std::find(s.parameters.begin(), s.parameters.end(), name) == s.parameters.end()) {
      named.set(name, value);
    }
  }
  scope->set("varargs", arena_.list(std::move(more), true));
  scope->set("kwargs", arena_.dict(std::move(named)));
  const int line = line_;
  const std::string_view text = captured(s.bodies[0], *scope);
  line_ = line;
  return text;
}

void Interpreter::call_block(const Statement& s, Scope& scope) {
  Arguments extra;
  extra.named.emplace_back("caller", make_macro(s, scope));
  write(display(arena_, evaluate_call(*s.targets[0], scope, &extra)));
}

std::string render(std::string_view source, const nlohmann::ordered_json& variables, const std::tm& now,
                   const Limits& limits) {
  Interpreter interpreter(limits, now);
  try {
    const Block block = parse(source, limits);
    return interpreter.run(block, from_json(interpreter.arena(), variables));
  } catch (const Fault& fault) {
    if (interpreter.line() == 0) throw input_error("chat template", "{}", fault.what());
    throw input_error("chat template", "line {}: {}", interpreter.line(), fault.what());
  }
}

}  // namespace pith::jinja
