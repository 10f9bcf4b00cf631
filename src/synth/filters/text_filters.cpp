#include "synth/filters/text_filters.h"

#include "core/error.h"

namespace pith::synth {

void check_text_filters(const TextFilters& f) {
  if (f.min_words < 0) throw input_error("min-words", "expected a number from 0, got {}", f.min_words);
  if (f.max_words < 0 || (f.max_words > 0 && f.max_words < f.min_words))
    throw input_error("max-words", "expected 0 or a number from {}, got {}", f.min_words, f.max_words);
  if (!(f.repetition >= 0 && f.repetition <= 1))
    throw input_error("repetition", "expected a share from 0 to 1, got {}", f.repetition);
}

}  // namespace pith::synth
