#include "synth/program/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "io/printable.h"

namespace pith::synth {

namespace {

using Arguments = std::vector<double>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c); }

struct Function {
  const char* name;
  std::size_t least, most;  // arguments
  double (*apply)(const Arguments& a);
};

double rounded(const Arguments& a) {  // half to even, as Python
  if (a.size() == 1) return std::nearbyint(a[0]);
  const double digits = std::clamp(a[1], -15.0, 15.0), scale = std::pow(10.0, std::trunc(digits));
  return std::nearbyint(a[0] * scale) / scale;
}

constexpr std::size_t kAny = 64;

const Function kFunctions[] = {
    {"abs", 1, 1, [](const Arguments& a) { return std::fabs(a[0]); }},
    {"min", 1, kAny, [](const Arguments& a) { return *std::min_element(a.begin(), a.end()); }},
    {"max", 1, kAny, [](const Arguments& a) { return *std::max_element(a.begin(), a.end()); }},
    {"sum", 1, kAny, [](const Arguments& a) { return std::accumulate(a.begin(), a.end(), 0.0); }},
    {"round", 1, 2, rounded},
    {"int", 1, 1, [](const Arguments& a) { return std::trunc(a[0]); }},
    {"float", 1, 1, [](const Arguments& a) { return a[0]; }},
    {"sqrt", 1, 1, [](const Arguments& a) { return std::sqrt(a[0]); }},
    {"floor", 1, 1, [](const Arguments& a) { return std::floor(a[0]); }},
    {"ceil", 1, 1, [](const Arguments& a) { return std::ceil(a[0]); }},
    {"pow", 2, 2, [](const Arguments& a) { return std::pow(a[0], a[1]); }},
};

}  // namespace

void Expression::fail(const std::string& expected) const {
  const std::string_view rest = text_.substr(at_);
  throw input_error(where_, "expected {}, got {}", expected, rest.empty() ? "the end of the line" : printable(rest));
}

void Expression::skip() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
}

bool Expression::take(std::string_view sign) {
  skip();
  if (!text_.substr(at_).starts_with(sign)) return false;
  at_ += sign.size();
  return true;
}

void Expression::expect(char c) {
  if (!take(std::string_view(&c, 1))) fail(fmt::format("'{}'", c));
}

void Expression::step() {
  if (--steps_ < 0) throw input_error(where_, "expected at most {} steps, got more", limits_.steps);
}

double Expression::finite(double x, std::string_view what) const {
  if (!std::isfinite(x)) throw input_error(where_, "expected a finite value, {} gave none", what);
  return x;
}

double Expression::value() {
  const double x = sum();
  skip();
  if (at_ < text_.size()) fail("an operator or the end of the line");
  return x;
}

double Expression::sum() {
  double x = product();
  for (;;) {
    if (take("+"))
      x = finite(x + product(), "+");
    else if (take("-"))
      x = finite(x - product(), "-");
    else
      return x;
  }
}

double Expression::product() {
  double x = signed_factor();
  for (;;) {
    step();
    const bool whole = take("//"), divide = !whole && take("/"), modulo = !whole && !divide && take("%");
    if (whole || divide || modulo) {
      const double y = signed_factor();
      if (y == 0) throw input_error(where_, "expected a divisor other than 0, got 0");
      x = finite(whole ? std::floor(x / y) : divide ? x / y : x - std::floor(x / y) * y, "a division");
    } else if (take("*")) {
      x = finite(x * signed_factor(), "*");
    } else {
      return x;
    }
  }
}

double Expression::signed_factor() {
  step();
  if (++depth_ > limits_.depth) throw input_error(where_, "expected at most {} levels, got more", limits_.depth);
  const double x = take("-") ? -signed_factor() : take("+") ? signed_factor() : power();
  --depth_;
  return x;
}

double Expression::power() {
  const double base = atom();
  if (!take("**")) return base;
  const double exponent = signed_factor();  // binds to the right
  return finite(std::pow(base, exponent), "**");
}

double Expression::atom() {
  step();
  skip();
  if (at_ == text_.size()) fail("a value");
  if (take("(")) {
    const double x = sum();
    expect(')');
    return x;
  }
  if (is_digit(text_[at_]) || text_[at_] == '.') return number();
  if (!is_name(text_[at_])) fail("a value");
  std::string called = name();
  if (called == "math" && take(".")) called = name();
  if (take("(")) return call(called);
  const auto found = variables_.find(called);
  if (found == variables_.end())
    throw input_error(where_, "expected a variable with a value, got {}", printable(called));
  return found->second;
}

std::string Expression::name() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && is_name(text_[at_])) ++at_;
  if (at_ == begin || is_digit(text_[begin])) fail("a name");
  return std::string(text_.substr(begin, at_ - begin));
}

double Expression::number() {
  std::string digits;
  const std::size_t begin = at_;
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '_') continue;  // 1_000
    const bool exponent_sign =
        (c == '+' || c == '-') && !digits.empty() && (digits.back() == 'e' || digits.back() == 'E');
    if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !exponent_sign) break;
    digits += c;
  }
  double value = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (fault != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) {
    at_ = begin;
    fail("a number");
  }
  return value;
}

double Expression::call(const std::string& called) {
  const auto* function =
      std::find_if(std::begin(kFunctions), std::end(kFunctions), [&](const Function& f) { return called == f.name; });
  if (function == std::end(kFunctions)) {
    std::string names;
    for (const Function& f : kFunctions) names += (names.empty() ? "" : ", ") + std::string(f.name);
    throw input_error(where_, "expected one of the functions {}, got {}", names, printable(called));
  }
  const bool list = take("[");
  Arguments arguments;
  if (++depth_ > limits_.depth) throw input_error(where_, "expected at most {} levels, got more", limits_.depth);
  do {
    arguments.push_back(sum());
    if (arguments.size() > function->most) fail(fmt::format("at most {} arguments of {}", function->most, called));
  } while (take(","));
  --depth_;
  if (list) expect(']');
  expect(')');
  if (arguments.size() < function->least) fail(fmt::format("{} arguments of {}", function->least, called));
  return finite(function->apply(arguments), called);
}

}  // namespace pith::synth
