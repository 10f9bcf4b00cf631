// One expression of a program, worked out while it is read.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "synth/program/program.h"

namespace pith::synth {

using Variables = std::map<std::string, double, std::less<>>;

class Expression {
 public:
  // where: names the line in errors. steps: counts down over a whole program.
  Expression(std::string_view text, const std::string& where, const Variables& variables, const ProgramLimits& limits,
             dim& steps)
      : text_(text), where_(where), variables_(variables), limits_(limits), steps_(steps) {}
  double value();  // of all of the text

 private:
  double sum();
  double product();
  double signed_factor();
  double power();
  double atom();
  double number();
  double call(const std::string& name);
  std::string name();
  void skip();
  bool take(std::string_view sign);
  void expect(char c);
  void step();
  double finite(double x, std::string_view what) const;
  [[noreturn]] void fail(const std::string& expected) const;

  std::string_view text_;
  const std::string& where_;
  const Variables& variables_;
  const ProgramLimits& limits_;
  dim& steps_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace pith::synth
