// The syntax tree. Names and texts in it must outlive the values made from it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "io/jinja/value.h"

namespace pith::jinja {

enum class ExpressionKind {
  literal,        // value, or text
  name,           // text
  list,           // children
  tuple,          // children
  dict,           // children: key, value, key, value
  member,         // children[0].text
  item,           // children[0][children[1]]
  slice,          // children[0][from:to:step], absent ones null
  call,           // children[0](arguments)
  filter,         // children[0] | text(arguments); children[0] null in a filter block
  test,           // children[0] is text(arguments)
  unary,          // text: "-", "+", "not"
  binary,         // text: an operator, "and", "or"
  compare,        // children[0] names[0] children[1] names[1] children[2] ...
  concatenation,  // children ~
  condition       // children[1] if children[0] else children[2], which may be null
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  ExpressionKind kind;
  std::string text;
  Value value = None{};
  std::vector<ExpressionPtr> children;
  std::vector<std::string> names;
  // Of calls, filters and tests, after the first child: positional ones, then those that `keywords` names.
  std::vector<ExpressionPtr> arguments;
  std::vector<std::string> keywords;
  ExpressionPtr more_positional, more_named;  // *args, **kwargs
  int height = 1;
};

enum class StatementKind {
  text,          // text
  output,        // expressions[0]
  condition,     // expressions[i] guards bodies[i]; one more body is the else
  loop,          // targets; expressions[0]: items, [1]: the filter or null; bodies: each, else
  assign,        // targets; expressions[0]
  assign_block,  // targets; expressions[0]: filter or null; bodies[0]
  macro,         // text, parameters; expressions: the last parameters' defaults; bodies[0]
  call,          // expressions[0], parameters, defaults after it; bodies[0]
  filter,        // expressions[0]; bodies[0]
  with,          // targets, expressions; bodies[0]
  plain,         // bodies[0]: a generation block
  stop,          // break
  next           // continue
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

struct Statement {
  StatementKind kind;
  int line;
  std::string text;
  std::vector<ExpressionPtr> targets;  // names, tuples of targets, or members of a namespace
  std::vector<ExpressionPtr> expressions;
  std::vector<std::string> parameters;
  std::vector<Block> bodies;
};

// Fault starts with the line.
Block parse(std::string_view source, const Limits& limits);

}  // namespace pith::jinja
