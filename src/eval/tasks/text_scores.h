// How near generated text is to a reference.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

// ROUGE-L's F measure (Lin 2004): 2 P R / (P + R) of the longest common subsequence of words. Words are runs of ASCII
// letters and digits, in lower case, not stemmed.
double rouge_l(std::string_view text, std::string_view reference);

// SQuAD's normalization (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single spaces.
std::string normalize_answer(std::string_view text);
// F1 over the multisets of words of both, normalized.
double token_f1(std::string_view text, std::string_view reference);

// The number after the first "#### "; "" where there is none.
std::string strict_number(std::string_view text);
// The last number in the text, with its sign, commas and dollar sign.
std::string last_number(std::string_view text);
// GSM8K's comparison: commas, dollar signs, all up to "#### " and one full stop at the end do not count.
bool same_number(std::string_view text, std::string_view reference);

}  // namespace pith
