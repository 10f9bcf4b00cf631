// What methods that keep some values of a row apart share. Of a row's values as many are kept as bytes were planned
// for, so rows can be encoded in any order and files have their size before work starts.
#pragma once
#include <span>

#include "compress/method.h"

namespace pith {

// Percent of the values that are kept apart.
OptionSpec outlier_percent_option(std::string_view default_value);
// So many of each row of `cols`, rounded; at least one where the option is above 0.
OutlierShape outliers_of_each_row(dim cols, const Options& options);

// The columns of the k largest scores, the first ones of equals, ascending. scores: finite, or -infinity for values
// that are only taken when no others are left.
void largest_scores(std::span<const double> scores, std::span<std::int32_t> columns);

// Fills the outliers of a row whose codes are in task.out and whose columns are known: what is missing to `wanted`
// (cols) there. decoded (cols): what all of the row decodes to now.
void keep_apart(const LayerTask& task, dim row, const float* wanted, float* decoded);

// A block's values and weights as its range is to be fitted: where `apart` is above 0 the value becomes the mean of the
// others and weighs nothing.
void fill_gaps(std::span<const std::int32_t> apart, std::span<float> values, std::span<float> weights);

// The nearest number that float16 has.
float as_stored_apart(float value);

}  // namespace pith
