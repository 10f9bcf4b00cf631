#include "synth/program/program.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace pith::synth {
namespace {

// Values as CPython gives them.
TEST(Program, ExpressionsAreThoseOfPython) {
  const std::pair<const char*, double> cases[] = {
      {"2 + 3 * 4", 14},     {"(2 + 3) * 4", 20},
      {"2 ** 3 ** 2", 512},  {"-2 ** 2", -4},
      {"2 ** -1", 0.5},      {"7 // 2", 3},
      {"-7 // 2", -4},       {"-7 % 3", 2},
      {"7 % -3", -2},        {"10 / 4", 2.5},
      {"1_000 + 1e3", 2000}, {"- -3", 3},
      {"round(2.5)", 2},     {"round(3.14159, 2)", 3.14},
      {"int(-3.7)", -3},     {"max(1, 5, 3)", 5},
      {"min(4, 2)", 2},      {"abs(-4)", 4},
      {"math.sqrt(16)", 4},  {"math.ceil(2.1)", 3},
      {"sum([1, 2, 3])", 6}, {"8 - 3 - 2", 3},
      {"16 / 4 / 2", 2},     {".5 * 2", 1},
  };
  for (const auto& [text, value] : cases) EXPECT_DOUBLE_EQ(run_program(std::string("answer = ") + text), value) << text;
}

TEST(Program, ResultIsWhatTheProgramNames) {
  EXPECT_EQ(run_program("eggs = 16\neaten = 3 + 4\nanswer = (eggs - eaten) * 2\nother = 1"), 18);
  EXPECT_EQ(run_program("a = 5\nb = a * 2"), 10);
  EXPECT_EQ(
      run_program("def solution():\n  \"\"\"Two lines\n  of text.\"\"\"\n  x = 4  # four\n  x += 2 * 3\n  return x\n"),
      10);
  EXPECT_EQ(run_program("answer = 1\nprint(answer + 1)"), 2);
  EXPECT_EQ(run_program("import math\n'''one line'''\nx = 9\nx -= 1\nx /= 4\nx *= 3 + 1\nresult = x\ny = 0"), 8);
}

std::string fault_of(const std::string& text, const ProgramLimits& limits = {}) {
  try {
    run_program(text, limits);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Program, FaultsNameTheirLine) {
  EXPECT_EQ(fault_of("a = 1\nanswer = a / (1 - 1)"), "[program, line 2] expected a divisor other than 0, got 0");
  EXPECT_EQ(fault_of("answer = b"), "[program, line 1] expected a variable with a value, got 'b'");
  EXPECT_EQ(fault_of("answer = 2 +"), "[program, line 1] expected a value, got the end of the line");
  EXPECT_EQ(fault_of("answer = 2 3"), "[program, line 1] expected an operator or the end of the line, got '3'");
  EXPECT_EQ(fault_of(""), "[program] expected a result, got none");
  for (const char* text :
       {"import os", "answer = __import__('os')", "answer = open('f')", "for i in range(3):", "answer = 'text'",
        "answer = 9 ** 9 ** 9", "answer = sqrt(-1)", "answer == 3", "1x = 2", "answer = 0 / 0", "answer = (1",
        "answer = round()", "answer = min(1", "x.y = 3", "answer = 1e999"})
    EXPECT_NE(fault_of(text), "") << text;
}

TEST(Program, WorkIsBounded) {
  EXPECT_NE(fault_of("answer = " + std::string(1000, '(') + "1" + std::string(1000, ')')), "");
  EXPECT_NE(fault_of("answer = " + std::string(100000, '-') + "1"), "");
  std::string sum = "answer = 1";
  for (int i = 0; i < 200; ++i) sum += " + 1";
  EXPECT_EQ(run_program(sum), 201);
  EXPECT_EQ(fault_of(sum, {.steps = 100}), "[program, line 1] expected at most 100 steps, got more");
  EXPECT_NE(fault_of(std::string(70000, '\n')), "");
}

TEST(Program, IsFoundInAReply) {
  EXPECT_EQ(program_in("Here:\n```python\na = 1\nanswer = a\n```\nDone."), "a = 1\nanswer = a");
  EXPECT_EQ(program_in(" answer = 1 \n"), "answer = 1");
  EXPECT_EQ(program_in("```\nanswer = 3"), "answer = 3");
  EXPECT_EQ(program_in("```"), "");
}

}  // namespace
}  // namespace pith::synth
