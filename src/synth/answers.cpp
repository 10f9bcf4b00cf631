#include "synth/answers.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "eval/tasks/text_scores.h"
#include "synth/text.h"

namespace pith::synth {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// What is behind the last mark; npos: there is none.
std::size_t behind_mark(const std::string& lower) {
  std::size_t best = lower.npos;
  for (const std::string_view mark : {"####", "answer is", "answer:"}) {
    const auto at = lower.rfind(mark);
    if (at == lower.npos) continue;
    const std::size_t end = at + mark.size();
    if (best == lower.npos || end > best) best = end;
  }
  return best;
}

std::string first_number(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_digit(text[i])) continue;
    std::size_t begin = i, end = i;
    if (begin > 0 && text[begin - 1] == '.') --begin;
    while (begin > 0 && (text[begin - 1] == '$' || text[begin - 1] == '-')) --begin;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.' || text[end] == ',')) ++end;
    while (text[end - 1] == '.' || text[end - 1] == ',') --end;
    return std::string(text.substr(begin, end - begin));
  }
  return "";
}

std::string first_letter(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool alone = (i == 0 || !is_letter(text[i - 1])) && (i + 1 == text.size() || !is_letter(text[i + 1]));
    // "a" and "I" are words
    if (alone && text[i] >= 'A' && text[i] <= 'Z' && text[i] != 'I') return std::string(1, text[i]);
    if (alone && i > 0 && text[i - 1] == '(' && is_letter(text[i])) return std::string(1, text[i]);
  }
  return "";
}

std::string one_line(std::string_view text) {
  std::string line = trimmed(text.substr(0, text.find('\n', text.find_first_not_of(" \n\r\t:"))));
  const auto begin = line.find_first_not_of(" :*\"'");
  if (begin == line.npos) return "";
  return line.substr(begin, line.find_last_not_of(" .*\"'") - begin + 1);
}

}  // namespace

std::optional<double> number_of(std::string_view text) {
  std::string plain;
  for (const char c : trimmed(text))
    if (c != ',' && c != '$' && c != '%' && c != ' ') plain += c;
  if (plain.ends_with('.')) plain.pop_back();
  double value = 0;
  const auto [end, fault] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (plain.empty() || fault != std::errc() || end != plain.data() + plain.size() || !std::isfinite(value)) return {};
  return value;
}

AnswerKind kind_of(std::string_view answer) {
  if (number_of(answer)) return AnswerKind::number;
  if (answer.size() == 1 && answer[0] >= 'A' && answer[0] <= 'Z') return AnswerKind::letter;
  return AnswerKind::text;
}

std::optional<std::string> final_answer(std::string_view text, AnswerKind kind) {
  const std::size_t mark = behind_mark(lower_case(text));
  const bool marked = mark != std::string::npos;
  std::string found;
  if (kind == AnswerKind::number) {
    found = marked ? first_number(text.substr(mark)) : last_number(text);
    while (found.ends_with('.') || found.ends_with(',')) found.pop_back();
    if (!number_of(found)) return std::nullopt;
  } else if (kind == AnswerKind::letter) {
    if (marked) found = first_letter(text.substr(mark));
    if (const std::string whole = trimmed(text); !marked && whole.size() <= 3) found = first_letter(whole);
  } else if (marked) {
    found = one_line(text.substr(mark));
  }
  if (found.empty()) return std::nullopt;
  return found;
}

bool same_answer(std::string_view given, std::string_view gold) {
  if (const auto wanted = number_of(gold)) {
    const auto got = number_of(given);
    return got && std::fabs(*got - *wanted) <= 1e-6 * std::max(1.0, std::fabs(*wanted));
  }
  return !normalize_answer(gold).empty() ? normalize_answer(given) == normalize_answer(gold)
                                         : lower_case(given) == lower_case(gold);
}

}  // namespace pith::synth
