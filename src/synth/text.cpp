#include "synth/text.h"

#include <set>

namespace pith::synth {

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

std::vector<std::string_view> lines_in(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const char low = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    const bool word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (word) {
      if (!inside) words.emplace_back();
      words.back() += low;
    }
    inside = word;
  }
  return words;
}

double repetition_of(const std::vector<std::string>& words) {
  constexpr std::size_t kRun = 4, kFewest = 16;
  if (words.size() < kFewest) return 0;
  std::set<std::string> seen;
  dim again = 0;
  const std::size_t runs = words.size() - kRun + 1;
  for (std::size_t i = 0; i < runs; ++i) {
    std::string run;
    for (std::size_t k = 0; k < kRun; ++k) run += words[i + k] + " ";
    again += !seen.insert(std::move(run)).second;
  }
  return double(again) / double(runs);
}

}  // namespace pith::synth
