#include "eval/tasks/text_scores.h"

#include <algorithm>
#include <map>

namespace pith {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; }
bool is_word(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::vector<std::string> rouge_words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    if (is_word(c)) {
      if (!inside) words.emplace_back();
      words.back() += lower(c);
    }
    inside = is_word(c);
  }
  return words;
}

dim longest_common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<dim> best(b.size() + 1, 0);
  for (const auto& word : a) {
    dim diagonal = 0;  // of the row before
    for (std::size_t j = 0; j < b.size(); ++j) {
      const dim above = best[j + 1];
      best[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, best[j]);
      diagonal = above;
    }
  }
  return best.back();
}

double f_measure(double common, std::size_t text, std::size_t reference) {
  if (common == 0) return 0;
  const double precision = common / double(text), recall = common / double(reference);
  return 2 * precision * recall / (precision + recall);
}

std::vector<std::string> split_spaces(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    if (!is_space(c)) {
      if (!inside) words.emplace_back();
      words.back() += c;
    }
    inside = !is_space(c);
  }
  return words;
}

}  // namespace

double rouge_l(std::string_view text, std::string_view reference) {
  const auto a = rouge_words(text), b = rouge_words(reference);
  return f_measure(double(longest_common_subsequence(a, b)), a.size(), b.size());
}

std::string normalize_answer(std::string_view text) {
  std::string kept;
  for (const char c : text)
    if (is_word(c) || is_space(c) || static_cast<unsigned char>(c) >= 0x80) kept += lower(c);
  std::string out;
  for (const auto& word : split_spaces(kept)) {
    if (word == "a" || word == "an" || word == "the") continue;
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

double token_f1(std::string_view text, std::string_view reference) {
  const auto a = split_spaces(normalize_answer(text)), b = split_spaces(normalize_answer(reference));
  if (a.empty() || b.empty()) return a == b ? 1 : 0;
  std::map<std::string, dim> left;
  for (const auto& word : b) ++left[word];
  dim common = 0;
  for (const auto& word : a)
    if (left[word]-- > 0) ++common;
  return f_measure(double(common), a.size(), b.size());
}

std::string strict_number(std::string_view text) {
  constexpr std::string_view kMark = "#### ";
  for (auto at = text.find(kMark); at != text.npos; at = text.find(kMark, at + 1)) {
    std::size_t begin = at + kMark.size(), end = begin;
    if (end < text.size() && text[end] == '-') ++end;
    const std::size_t digits = end;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.' || text[end] == ',')) ++end;
    if (end > digits) return std::string(text.substr(begin, end - begin));
  }
  return "";
}

std::string last_number(std::string_view text) {
  const auto part = [](char c) { return is_digit(c) || c == '$' || c == '.' || c == ','; };
  std::string last;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t begin = at;
    if (text[at] == '-') ++begin;
    std::size_t end = begin;
    while (end < text.size() && part(text[end])) ++end;
    // Two such characters, or digits alone.
    if (end - begin >= 2 || (end > begin && is_digit(text[begin]))) {
      last = text.substr(at, end - at);
      at = end;
    } else {
      ++at;
    }
  }
  return last;
}

bool same_number(std::string_view text, std::string_view reference) {
  const auto plain = [](std::string_view s) {
    std::string out;
    for (const char c : s)
      if (c != ',' && c != '$') out += lower(c);
    if (const auto mark = out.rfind("#### "); mark != out.npos) out.erase(0, mark + 5);
    if (out.ends_with('.')) out.pop_back();
    return out;
  };
  return plain(text) == plain(reference);
}

}  // namespace pith
