// How many values pruning drops, and where it compares them. Counts are exact and known before work starts.
#pragma once
#include <span>

#include "compress/method.h"

namespace pith {

enum class PruneScope { row, matrix };

struct Pruning {
  double share = 0.5;    // of the values, dropped; where there is no pattern
  dim keep = 0, of = 0;  // a pattern: of each `of` neighbours in a row `keep` stay; of == 0: none
  PruneScope scope = PruneScope::row;
  bool pattern() const { return of > 0; }
  // Dropped in columns [begin, end) of `rows` rows. Parts of a row add up to the row.
  dim dropped(dim rows, dim begin, dim end) const;
};

OptionSpec sparsity_option();
OptionSpec pattern_option();
OptionSpec scope_option(std::string_view default_value);
Pruning pruning_of(const Options& options);
Pruning pattern_of(const Options& options);                   // the pattern alone
dim kept_values(dim rows, dim cols, const Options& options);  // Method::kept

// Of the scores, `count` lowest get 0 in `kept`, the others 1; of equal ones the first stay. scores: finite.
void drop_lowest(std::span<const float> scores, dim count, std::uint8_t* kept);
// The same in each `of` neighbours; a shorter last part drops its share, rounded down.
void drop_by_pattern(const Pruning& pruning, std::span<const float> scores, std::uint8_t* kept);

}  // namespace pith
