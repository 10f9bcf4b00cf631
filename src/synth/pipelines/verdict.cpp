#include "synth/pipelines/verdict.h"

#include <fmt/format.h>

#include <charconv>

namespace pith::synth {

std::string referee_prompt(const std::string& question, const std::string& first, const std::string& second) {
  return fmt::format(
      "Question:\n{}\n\nAnswer 1:\n{}\n\nAnswer 2:\n{}\n\nRate how helpful, relevant, accurate and detailed each "
      "answer "
      "is, from 1 to 10. Write only the two numbers, that of answer 1 first, with a space between them.",
      question, first, second);
}

std::optional<std::pair<double, double>> scores_in(std::string_view verdict) {
  double numbers[2];
  int found = 0;
  for (std::size_t i = 0; i < verdict.size() && found < 2;) {
    if (verdict[i] < '0' || verdict[i] > '9') {
      ++i;
      continue;
    }
    const auto [end, fault] = std::from_chars(verdict.data() + i, verdict.data() + verdict.size(), numbers[found]);
    if (fault != std::errc() || numbers[found] < 1 || numbers[found] > 10) return std::nullopt;
    ++found;
    i = std::size_t(end - verdict.data());
  }
  if (found < 2) return std::nullopt;
  return std::pair(numbers[0], numbers[1]);
}

}  // namespace pith::synth
