// Recursive descent; nesting is limited, so that neither it nor the tree's owners can exhaust the stack.
#pragma once
#include "io/jinja/lexer.h"
#include "io/jinja/syntax.h"

namespace pith::jinja {

class Parser {
 public:
  explicit Parser(Tokens tokens) : tokens_(std::move(tokens)) {}
  Block run();

 private:
  static constexpr int kMaxNesting = 120;
  static constexpr int kMaxHeight = 400;  // long sums are deep to the left

  struct Nested {
    explicit Nested(Parser& p) : parser(p) {
      if (++p.depth_ > kMaxNesting) p.fail("it is nested too deeply");
    }
    ~Nested() { --parser.depth_; }
    Nested(const Nested&) = delete;
    Parser& parser;
  };

  const Token& now() const { return tokens_.all[at_]; }
  const Token& ahead() const { return tokens_.all[at_ + 1 < tokens_.all.size() ? at_ + 1 : at_]; }
  bool is_op(std::string_view text) const { return now().kind == TokenKind::op && now().text == text; }
  bool is_name(std::string_view text) const { return now().kind == TokenKind::name && now().text == text; }
  bool skip_op(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_op(std::string_view text);
  void expect_name(std::string_view text);
  std::string take_name();
  void expect_block_end();
  [[noreturn]] void fail(std::string_view what) const;

  // Statements.
  Block block(std::initializer_list<std::string_view> ends);  // stops before one of these names
  void body(Statement& s, std::initializer_list<std::string_view> ends);
  std::unique_ptr<Statement> statement();
  void condition(Statement& s);
  void loop(Statement& s);
  void assignment(Statement& s);
  void macro(Statement& s);
  void call(Statement& s);
  void filter(Statement& s);
  void with(Statement& s);
  void parameters(Statement& s);
  ExpressionPtr target(bool whole);

  // Expressions, loosest first.
  ExpressionPtr tuple(bool conditions, bool may_be_empty = false);
  ExpressionPtr expression(bool conditions = true);
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr joined();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool filters = true);
  ExpressionPtr primary();
  ExpressionPtr literal();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr e);
  ExpressionPtr filters(ExpressionPtr e);
  ExpressionPtr one_filter(ExpressionPtr e);
  ExpressionPtr test(ExpressionPtr e);
  ExpressionPtr subscript(ExpressionPtr e);
  ExpressionPtr slice(ExpressionPtr e, ExpressionPtr from);
  void arguments(Expression& e);
  ExpressionPtr make(ExpressionKind kind, std::string text = {}, ExpressionPtr a = {}, ExpressionPtr b = {},
                     ExpressionPtr c = {}) const;
  ExpressionPtr sealed(ExpressionPtr e) const;  // with its height

  Tokens tokens_;
  std::size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
};

}  // namespace pith::jinja
