// What may follow "is".
#include <fmt/core.h>

#include "io/jinja/interpreter.h"
#include "io/jinja/text.h"

namespace pith::jinja {

namespace {

const Value& other(const Arguments& given) {
  if (given.positional.empty()) throw Fault("this test compares with a value");
  return given.positional[0];
}

bool is_text(const Value& v) { return get<std::string_view>(v) != nullptr; }
bool is_row(const Value& v) { return is_text(v) || as_list(v) || as_dict(v) || get<Undefined>(v); }

std::int64_t rest(const Value& v, std::int64_t by) {
  if (by == 0) throw Fault("division by zero");
  return by == -1 ? 0 : integer(v, "what is divided") % by;
}

struct Entry {
  std::string_view name;
  Function function;
};
#define PITH_JINJA_TEST(name, ...)                                               \
  {                                                                              \
    name, [](Interpreter& in, const Value& v, const Arguments& given) -> Value { \
      (void)in, (void)v, (void)given;                                            \
      return static_cast<bool>(__VA_ARGS__);                                     \
    }                                                                            \
  }
constexpr Entry kTests[] = {
    PITH_JINJA_TEST("defined", !get<Undefined>(v)),
    PITH_JINJA_TEST("undefined", get<Undefined>(v)),
    PITH_JINJA_TEST("none", get<None>(v)),
    PITH_JINJA_TEST("string", is_text(v)),
    PITH_JINJA_TEST("mapping", as_dict(v)),
    PITH_JINJA_TEST("iterable", is_row(v)),
    PITH_JINJA_TEST("sequence", is_row(v)),
    PITH_JINJA_TEST("boolean", get<bool>(v)),
    PITH_JINJA_TEST("true", get<bool>(v) && *get<bool>(v)),
    PITH_JINJA_TEST("false", get<bool>(v) && !*get<bool>(v)),
    PITH_JINJA_TEST("integer", get<std::int64_t>(v)),
    PITH_JINJA_TEST("float", get<double>(v)),
    PITH_JINJA_TEST("number", is_number(v)),
    PITH_JINJA_TEST("callable", get<const Callable*>(v) || get<const Loop*>(v)),
    PITH_JINJA_TEST("odd", rest(v, 2) != 0),
    PITH_JINJA_TEST("even", rest(v, 2) == 0),
    PITH_JINJA_TEST("divisibleby", rest(v, integer(other(given), "a divisor")) == 0),
    PITH_JINJA_TEST("eq", equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("equalto", equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("==", equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("ne", !equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("!=", !equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("sameas", v.index() == other(given).index() && equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("lt", less(in.arena(), v, other(given))),
    PITH_JINJA_TEST("lessthan", less(in.arena(), v, other(given))),
    PITH_JINJA_TEST("<", less(in.arena(), v, other(given))),
    PITH_JINJA_TEST("gt", less(in.arena(), other(given), v)),
    PITH_JINJA_TEST("greaterthan", less(in.arena(), other(given), v)),
    PITH_JINJA_TEST(">", less(in.arena(), other(given), v)),
    PITH_JINJA_TEST("le", less(in.arena(), v, other(given)) || equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("<=", less(in.arena(), v, other(given)) || equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("ge", less(in.arena(), other(given), v) || equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST(">=", less(in.arena(), other(given), v) || equal(in.arena(), v, other(given))),
    PITH_JINJA_TEST("in", contains(in.arena(), other(given), v)),
    PITH_JINJA_TEST("lower", lower(display(in.arena(), v)) == display(in.arena(), v)),
    PITH_JINJA_TEST("upper", upper(display(in.arena(), v)) == display(in.arena(), v)),
    PITH_JINJA_TEST("filter", find_filter(text_of(v, "a filter's name"))),
    PITH_JINJA_TEST("escaped", is_text(v) && in.arena().is_safe(*get<std::string_view>(v))),
};
#undef PITH_JINJA_TEST

}  // namespace

Function find_test(std::string_view name) {
  for (const Entry& e : kTests)
    if (e.name == name) return e.function;
  return nullptr;
}

}  // namespace pith::jinja
