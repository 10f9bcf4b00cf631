// Arithmetic programs that a model wrote, in the part of Python that needs no trust: assignments of expressions, line
// by line. No loops, no strings, no calls but of a few functions of numbers, nothing read or written.
//
//   program    = { line }          blank lines, comments, docstrings, "def name():" and "import math" are passed over
//   line       = name ("=" | "+=" | "-=" | "*=" | "/=" ) expression | "return" expression | "print" "(" expression ")"
//   expression = numbers, names, + - * / // % **, unary + and -, parentheses,
//                abs min max round int float sqrt floor ceil sum pow, with "math." before or not
//
// Values are doubles with Python's rules for //, % and round. The result is that of `return` or the last `print`, else
// the variable `answer` or `result`, else what was assigned last.
#pragma once
#include <string>
#include <string_view>

#include "core/base.h"

namespace pith::synth {

struct ProgramLimits {
  dim steps = 10000;  // operators and values that are worked out
  int depth = 64;     // of parentheses, signs and powers
  dim bytes = 1 << 16;
};

// Error(input) that says in which line what is wrong: also for division by zero, values that are not finite, and where
// there is no result.
double run_program(std::string_view text, const ProgramLimits& limits = {});

// The program in a reply: what is in its first ``` fence, else all of it.
std::string program_in(std::string_view reply);

}  // namespace pith::synth
