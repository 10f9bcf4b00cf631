#include "synth/program/program.h"

#include <optional>

#include "core/error.h"
#include "io/printable.h"
#include "synth/program/expression.h"
#include "synth/text.h"

namespace pith::synth {

namespace {

bool name_like(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return true;
}

class Program {
 public:
  explicit Program(const ProgramLimits& limits) : limits_(limits), steps_(limits.steps) {}

  double run(std::string_view text) {
    if (dim(text.size()) > limits_.bytes)
      throw input_error("program", "expected at most {} bytes, got {}", limits_.bytes, text.size());
    dim number = 0;
    for (const std::string_view raw : lines_in(text)) {
      where_ = fmt::format("program, line {}", ++number);
      if (passed_over(raw)) continue;
      const std::string line = trimmed(raw.substr(0, raw.find('#')));
      if (line.empty()) continue;
      if (line.starts_with("return") && (line.size() == 6 || line[6] == ' ' || line[6] == '('))
        return value_of(std::string_view(line).substr(6));
      execute(line);
    }
    if (printed_) return *printed_;
    for (const char* name : {"answer", "result"})
      if (const auto at = variables_.find(name); at != variables_.end()) return at->second;
    if (!assigned_) throw input_error("program", "expected a result, got none");
    return *assigned_;
  }

 private:
  // Docstrings and what stands around a function's body.
  bool passed_over(std::string_view raw) {
    const std::string line = trimmed(raw);
    for (const std::string_view quotes : {"\"\"\"", "'''"}) {
      const auto first = line.find(quotes);
      if (quoted_.empty() && first != 0) continue;
      if (!quoted_.empty()) {
        if (quoted_ != quotes) continue;
        if (first != line.npos) quoted_.clear();
        return true;
      }
      if (line.find(quotes, 3) == line.npos) quoted_ = quotes;
      return true;
    }
    if (!quoted_.empty()) return true;
    return line.empty() || line[0] == '#' || (line.starts_with("def ") && line.ends_with(":")) ||
           line == "import math" || line == "from math import *";
  }

  double value_of(std::string_view text) { return Expression(text, where_, variables_, limits_, steps_).value(); }

  void execute(const std::string& line) {
    if (line.starts_with("print(") && line.ends_with(")")) {
      printed_ = value_of(std::string_view(line).substr(5));
      return;
    }
    const auto equals = line.find('=');
    if (equals == line.npos)
      throw input_error(where_, "expected an assignment, a return or a print, got {}", printable(line));
    const bool combined = equals > 0 && std::string_view("+-*/").find(line[equals - 1]) != std::string_view::npos;
    const std::string name = trimmed(std::string_view(line).substr(0, equals - (combined ? 1 : 0)));
    if (!name_like(name)) throw input_error(where_, "expected a variable before '=', got {}", printable(name));
    std::string expression = line.substr(equals + 1);
    if (combined) expression = fmt::format("{} {} ({})", name, line[equals - 1], expression);
    assigned_ = value_of(expression);
    variables_.insert_or_assign(name, *assigned_);
  }

  const ProgramLimits& limits_;
  dim steps_;
  std::string where_, quoted_;
  Variables variables_;
  std::optional<double> printed_, assigned_;
};

}  // namespace

double run_program(std::string_view text, const ProgramLimits& limits) { return Program(limits).run(text); }

std::string program_in(std::string_view reply) {
  const auto open = reply.find("```");
  if (open == reply.npos) return trimmed(reply);
  const auto line = reply.find('\n', open);
  if (line == reply.npos) return "";
  const auto close = reply.find("```", line);
  std::string_view body = reply.substr(line + 1, close == reply.npos ? reply.npos : close - line - 1);
  while (!body.empty() && (body.back() == '\n' || body.back() == ' ')) body.remove_suffix(1);
  return std::string(body);
}

}  // namespace pith::synth
