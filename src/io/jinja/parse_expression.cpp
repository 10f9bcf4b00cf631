#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "io/jinja/parser.h"

namespace pith::jinja {

using Kind = ExpressionKind;

ExpressionPtr Parser::sealed(ExpressionPtr e) const {
  int height = 0;
  const auto see = [&](const ExpressionPtr& child) {
    if (child) height = std::max(height, child->height);
  };
  for (const auto& child : e->children) see(child);
  for (const auto& child : e->arguments) see(child);
  see(e->more_positional);
  see(e->more_named);
  e->height = height + 1;
  if (e->height > kMaxHeight) fail("an expression is nested too deeply");
  return e;
}

ExpressionPtr Parser::make(Kind kind, std::string text, ExpressionPtr a, ExpressionPtr b, ExpressionPtr c) const {
  auto e = std::make_unique<Expression>();
  e->kind = kind;
  e->text = std::move(text);
  if (a || b || c) e->children.push_back(std::move(a));
  if (b || c) e->children.push_back(std::move(b));
  if (c) e->children.push_back(std::move(c));
  return sealed(std::move(e));
}

ExpressionPtr Parser::tuple(bool conditions, bool may_be_empty) {
  const Nested nested(*this);
  std::vector<ExpressionPtr> items;
  bool comma = false;
  const auto ends = [&] {
    return now().kind == TokenKind::block_end || now().kind == TokenKind::variable_end || is_op(")") ||
           is_name("recursive");
  };
  while (!ends()) {
    items.push_back(expression(conditions));
    comma = skip_op(",");
    if (!comma) break;
  }
  if (items.size() == 1 && !comma) return std::move(items[0]);
  if (items.empty() && !may_be_empty) fail("expected an expression");
  auto e = make(Kind::tuple);
  e->children = std::move(items);
  return sealed(std::move(e));
}

ExpressionPtr Parser::expression(bool conditions) {
  const Nested nested(*this);
  auto value = either();
  while (conditions && skip_name("if")) {
    auto condition = either();
    ExpressionPtr other;
    if (skip_name("else")) other = expression();
    value = make(Kind::condition, "", std::move(condition), std::move(value), std::move(other));
  }
  return value;
}

ExpressionPtr Parser::either() {
  auto left = both();
  while (skip_name("or")) left = make(Kind::binary, "or", std::move(left), both());
  return left;
}

ExpressionPtr Parser::both() {
  auto left = negation();
  while (skip_name("and")) left = make(Kind::binary, "and", std::move(left), negation());
  return left;
}

ExpressionPtr Parser::negation() {
  const Nested nested(*this);
  if (skip_name("not")) return make(Kind::unary, "not", negation());
  return comparison();
}

ExpressionPtr Parser::comparison() {
  auto first = sum();
  ExpressionPtr e;
  for (;;) {
    std::string op;
    for (const std::string_view o : {"==", "!=", "<=", ">=", "<", ">"})
      if (op.empty() && skip_op(o)) op = o;
    if (op.empty() && skip_name("in")) op = "in";
    if (op.empty() && is_name("not") && ahead().kind == TokenKind::name && ahead().text == "in") {
      at_ += 2;
      op = "not in";
    }
    if (op.empty()) break;
    if (!e) e = make(Kind::compare, "", std::move(first));
    e->names.push_back(op);
    e->children.push_back(sum());
  }
  return e ? sealed(std::move(e)) : std::move(first);
}

ExpressionPtr Parser::sum() {
  auto left = joined();
  while (is_op("+") || is_op("-")) {
    const std::string op = now().text;
    ++at_;
    left = make(Kind::binary, op, std::move(left), joined());
  }
  return left;
}

ExpressionPtr Parser::joined() {
  auto first = product();
  if (!is_op("~")) return first;
  auto e = make(Kind::concatenation, "", std::move(first));
  while (skip_op("~")) e->children.push_back(product());
  return sealed(std::move(e));
}

ExpressionPtr Parser::product() {
  auto left = power();
  while (is_op("*") || is_op("/") || is_op("//") || is_op("%")) {
    const std::string op = now().text;
    ++at_;
    left = make(Kind::binary, op, std::move(left), power());
  }
  return left;
}

ExpressionPtr Parser::power() {
  auto left = unary();
  while (skip_op("**")) left = make(Kind::binary, "**", std::move(left), unary());
  return left;
}

ExpressionPtr Parser::unary(bool with_filters) {
  const Nested nested(*this);
  ExpressionPtr e;
  if (is_op("-") || is_op("+")) {
    const std::string op = now().text;
    ++at_;
    e = make(Kind::unary, op, unary(false));
  } else {
    e = primary();
  }
  e = postfix(std::move(e));
  return with_filters ? filters(std::move(e)) : std::move(e);
}

ExpressionPtr Parser::literal() {
  auto e = make(Kind::literal, now().text);
  const std::string& text = e->text;
  const Token& token = now();
  ++at_;
  if (token.kind == TokenKind::integer) {
    std::int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) fail("a number too large");
    e->value = value;
  } else if (token.kind == TokenKind::number) {
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) fail("a number too large");
    e->value = value;
  } else {
    while (now().kind == TokenKind::text) e->text += tokens_.all[at_++].text;  // 'a' 'b'
    e->value = std::string_view(e->text);
  }
  return e;
}

ExpressionPtr Parser::primary() {
  const Token& token = now();
  if (token.kind == TokenKind::text || token.kind == TokenKind::integer || token.kind == TokenKind::number)
    return literal();
  if (token.kind == TokenKind::name) {
    ++at_;
    const std::string& t = token.text;
    auto e = make(Kind::literal, t);
    if (t == "true" || t == "True") {
      e->value = true;
    } else if (t == "false" || t == "False") {
      e->value = false;
    } else if (t != "none" && t != "None") {
      e->kind = Kind::name;
    }
    return e;
  }
  if (skip_op("(")) {
    auto e = tuple(true, true);
    expect_op(")");
    return e;
  }
  if (skip_op("[")) return list();
  if (skip_op("{")) return dict();
  fail("expected an expression");
}

ExpressionPtr Parser::list() {
  auto e = make(Kind::list);
  while (!skip_op("]")) {
    if (!e->children.empty()) expect_op(",");
    if (skip_op("]")) break;
    e->children.push_back(expression());
  }
  return sealed(std::move(e));
}

ExpressionPtr Parser::dict() {
  auto e = make(Kind::dict);
  while (!skip_op("}")) {
    if (!e->children.empty()) expect_op(",");
    if (skip_op("}")) break;
    e->children.push_back(expression());
    expect_op(":");
    e->children.push_back(expression());
  }
  return sealed(std::move(e));
}

ExpressionPtr Parser::postfix(ExpressionPtr e) {
  for (;;) {
    if (skip_op(".")) {
      if (now().kind == TokenKind::integer) {
        e = make(Kind::item, "", std::move(e), literal());
      } else {
        e = make(Kind::member, take_name(), std::move(e));
      }
    } else if (skip_op("[")) {
      e = subscript(std::move(e));
    } else if (is_op("(")) {
      e = make(Kind::call, "", std::move(e));
      arguments(*e);
      e = sealed(std::move(e));
    } else {
      return e;
    }
  }
}

ExpressionPtr Parser::subscript(ExpressionPtr e) {
  ExpressionPtr from;
  if (!is_op(":")) from = expression();
  if (is_op(":")) return slice(std::move(e), std::move(from));
  expect_op("]");
  return make(Kind::item, "", std::move(e), std::move(from));
}

ExpressionPtr Parser::slice(ExpressionPtr e, ExpressionPtr from) {
  auto s = make(Kind::slice, "", std::move(e));
  s->children.resize(4);
  s->children[1] = std::move(from);
  for (std::size_t part = 2; part < 4 && skip_op(":"); ++part)
    if (!is_op(":") && !is_op("]")) s->children[part] = expression();
  expect_op("]");
  return sealed(std::move(s));
}

ExpressionPtr Parser::filters(ExpressionPtr e) {
  for (;;) {
    if (skip_op("|")) {
      e = one_filter(std::move(e));
    } else if (skip_name("is")) {
      e = test(std::move(e));
    } else if (is_op("(")) {
      e = make(Kind::call, "", std::move(e));
      arguments(*e);
      e = sealed(std::move(e));
    } else {
      return e;
    }
  }
}

ExpressionPtr Parser::one_filter(ExpressionPtr e) {
  auto f = make(Kind::filter, take_name());
  f->children.push_back(std::move(e));
  if (is_op("(")) arguments(*f);
  return sealed(std::move(f));
}

ExpressionPtr Parser::test(ExpressionPtr e) {
  const bool negated = skip_name("not");
  auto t = make(Kind::test, take_name(), std::move(e));
  const auto kind = now().kind;
  const bool value = kind == TokenKind::text || kind == TokenKind::integer || kind == TokenKind::number ||
                     kind == TokenKind::name || is_op("[") || is_op("{");
  if (is_op("(")) {
    arguments(*t);
  } else if (value && !is_name("else") && !is_name("or") && !is_name("and")) {
    // A name that continues the expression outside the test is no argument.
    if (!is_name("if") && !is_name("in") && !is_name("not") && !is_name("is") && !is_name("recursive"))
      t->arguments.push_back(postfix(primary()));
  }
  t = sealed(std::move(t));
  return negated ? make(Kind::unary, "not", std::move(t)) : std::move(t);
}

void Parser::arguments(Expression& e) {
  const Nested nested(*this);
  expect_op("(");
  bool first = true;
  while (!skip_op(")")) {
    if (!first) expect_op(",");
    first = false;
    if (skip_op(")")) break;
    if (skip_op("**")) {
      e.more_named = expression();
    } else if (skip_op("*")) {
      e.more_positional = expression();
    } else if (now().kind == TokenKind::name && ahead().kind == TokenKind::op && ahead().text == "=") {
      e.keywords.push_back(take_name());
      expect_op("=");
      e.arguments.push_back(expression());
    } else {
      if (!e.keywords.empty()) fail("a positional argument after a named one");
      e.arguments.push_back(expression());
    }
  }
}

}  // namespace pith::jinja
