// What is wrong with a text at first sight.
#pragma once
#include "core/base.h"

namespace pith::synth {

struct TextFilters {
  dim min_words = 1, max_words = 0;  // of an answer; 0: any number
  double repetition =
      0.3;  // most of an answer's runs of four words that were there before, of 16 words or more; 1: any
  bool keep_unfinished = false;  // answers that were cut off at --max-tokens
};
void check_text_filters(const TextFilters& filters);  // Error(input)

}  // namespace pith::synth
