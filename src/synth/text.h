// Texts as filters look at them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith::synth {

std::string trimmed(std::string_view text);  // without white space at its ends
std::vector<std::string_view> lines_in(std::string_view text);
std::string lower_case(std::string_view text);  // ASCII letters alone

// Runs of letters, digits and bytes of other scripts, ASCII in lower case: of ASCII text those of ROUGE.
std::vector<std::string> words_of(std::string_view text);
// Share of runs of four words that occurred before in the same text; 0 for fewer than 16 words.
double repetition_of(const std::vector<std::string>& words);

}  // namespace pith::synth
