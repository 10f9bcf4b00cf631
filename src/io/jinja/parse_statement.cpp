#include <fmt/core.h>

#include <algorithm>

#include "io/jinja/parser.h"
#include "io/printable.h"

namespace pith::jinja {

void Parser::fail(std::string_view what) const {
  const std::string met = now().kind == TokenKind::end ? "the end"
                          : now().kind == TokenKind::block_end || now().kind == TokenKind::variable_end
                              ? "the tag's end"
                              : printable(now().text);
  throw Fault(fmt::format("line {}: {} (at {})", now().line, what, met));
}

bool Parser::skip_op(std::string_view text) {
  if (!is_op(text)) return false;
  ++at_;
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  ++at_;
  return true;
}

void Parser::expect_op(std::string_view text) {
  if (!skip_op(text)) fail(fmt::format("expected '{}'", text));
}

void Parser::expect_name(std::string_view text) {
  if (!skip_name(text)) fail(fmt::format("expected '{}'", text));
}

std::string Parser::take_name() {
  if (now().kind != TokenKind::name) fail("expected a name");
  return tokens_.all[at_++].text;
}

void Parser::expect_block_end() {
  if (now().kind != TokenKind::block_end) fail("expected the end of the tag");
  ++at_;
}

Block Parser::run() {
  Block all = block({});
  if (now().kind != TokenKind::end) fail("this tag has no beginning");
  return all;
}

Block Parser::block(std::initializer_list<std::string_view> ends) {
  const Nested nested(*this);
  Block all;
  for (;;) {
    const Token& token = now();
    if (token.kind == TokenKind::end) {
      if (ends.size()) fail(fmt::format("expected '{}'", *(ends.end() - 1)));
      return all;
    }
    auto s = std::make_unique<Statement>();
    s->line = token.line;
    ++at_;
    if (token.kind == TokenKind::data) {
      s->kind = StatementKind::text;
      s->text = token.text;
    } else if (token.kind == TokenKind::variable_begin) {
      s->kind = StatementKind::output;
      s->expressions.push_back(tuple(true));
      if (now().kind != TokenKind::variable_end) fail("expected the end of the tag");
      ++at_;
    } else {
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view e) { return is_name(e); })) return all;
      s = statement();
    }
    all.push_back(std::move(s));
  }
}

void Parser::body(Statement& s, std::initializer_list<std::string_view> ends) {
  expect_block_end();
  s.bodies.push_back(block(ends));
}

std::unique_ptr<Statement> Parser::statement() {
  auto s = std::make_unique<Statement>();
  s->line = now().line;
  const std::string verb = take_name();
  if (verb == "if") {
    condition(*s);
  } else if (verb == "for") {
    loop(*s);
  } else if (verb == "set") {
    assignment(*s);
  } else if (verb == "macro") {
    macro(*s);
  } else if (verb == "call") {
    call(*s);
  } else if (verb == "filter") {
    filter(*s);
  } else if (verb == "with") {
    with(*s);
  } else if (verb == "generation") {
    s->kind = StatementKind::plain;
    body(*s, {"endgeneration"});
    expect_name("endgeneration");
  } else if ((verb == "break" || verb == "continue") && loops_ > 0) {
    s->kind = verb == "break" ? StatementKind::stop : StatementKind::next;
  } else {
    --at_;
    fail("expected a statement");
  }
  expect_block_end();
  return s;
}

void Parser::condition(Statement& s) {
  s.kind = StatementKind::condition;
  for (;;) {
    s.expressions.push_back(tuple(false));
    body(s, {"elif", "else", "endif"});
    if (skip_name("elif")) continue;
    if (skip_name("else")) body(s, {"endif"});
    return expect_name("endif");
  }
}

void Parser::loop(Statement& s) {
  s.kind = StatementKind::loop;
  s.targets.push_back(target(true));
  expect_name("in");
  s.expressions.push_back(tuple(false));
  s.expressions.push_back(skip_name("if") ? expression() : nullptr);
  if (skip_name("recursive")) s.text = "recursive";
  ++loops_;
  body(s, {"else", "endfor"});
  --loops_;
  if (skip_name("else")) body(s, {"endfor"});
  expect_name("endfor");
}

// A name, a member of a namespace, or (whole) several with commas or in parentheses.
ExpressionPtr Parser::target(bool whole) {
  const Nested nested(*this);
  ExpressionPtr one;
  if (skip_op("(")) {
    one = target(true);
    expect_op(")");
  } else {
    one = make(ExpressionKind::name, take_name());
    if (skip_op(".")) one = make(ExpressionKind::member, take_name(), std::move(one));
  }
  if (!whole || !is_op(",")) return one;
  auto all = make(ExpressionKind::tuple, "", std::move(one));
  while (skip_op(",")) {
    if (now().kind != TokenKind::name && !is_op("(")) break;
    if (is_name("in")) break;
    all->children.push_back(target(false));
  }
  return sealed(std::move(all));
}

void Parser::assignment(Statement& s) {
  s.targets.push_back(target(true));
  if (skip_op("=")) {
    s.kind = StatementKind::assign;
    s.expressions.push_back(tuple(true));
    return;
  }
  s.kind = StatementKind::assign_block;
  ExpressionPtr chain;
  while (skip_op("|")) chain = one_filter(std::move(chain));
  s.expressions.push_back(std::move(chain));
  body(s, {"endset"});
  expect_name("endset");
}

void Parser::parameters(Statement& s) {
  expect_op("(");
  bool first = true, defaults = false;
  while (!skip_op(")")) {
    if (!first) expect_op(",");
    first = false;
    if (skip_op(")")) break;
    s.parameters.push_back(take_name());
    if (skip_op("=")) {
      defaults = true;
      s.expressions.push_back(expression());
    } else if (defaults) {
      fail("a parameter without a default after one with a default");
    }
  }
}

void Parser::macro(Statement& s) {
  s.kind = StatementKind::macro;
  s.text = take_name();
  parameters(s);
  const int around = std::exchange(loops_, 0);
  body(s, {"endmacro"});
  loops_ = around;
  expect_name("endmacro");
}

// A call block is a macro without a name, and the call that gets it.
void Parser::call(Statement& s) {
  s.kind = StatementKind::call;
  if (is_op("(")) parameters(s);
  s.targets.push_back(expression());
  if (s.targets[0]->kind != ExpressionKind::call) fail("expected a call");
  const int around = std::exchange(loops_, 0);
  body(s, {"endcall"});
  loops_ = around;
  expect_name("endcall");
}

void Parser::filter(Statement& s) {
  s.kind = StatementKind::filter;
  auto chain = one_filter(nullptr);
  while (skip_op("|")) chain = one_filter(std::move(chain));
  s.expressions.push_back(std::move(chain));
  body(s, {"endfilter"});
  expect_name("endfilter");
}

void Parser::with(Statement& s) {
  s.kind = StatementKind::with;
  while (now().kind != TokenKind::block_end) {
    if (!s.targets.empty()) expect_op(",");
    s.targets.push_back(target(false));
    expect_op("=");
    s.expressions.push_back(expression());
  }
  body(s, {"endwith"});
  expect_name("endwith");
}

Block parse(std::string_view source, const Limits& limits) { return Parser(tokenize(source, limits)).run(); }

}  // namespace pith::jinja
