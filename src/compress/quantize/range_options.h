// The options by which methods let a block's range be found, and plain rounding with them.
#pragma once
#include "compress/method.h"

namespace pith {

OptionSpec range_option();
OptionSpec range_power_option();
OptionSpec range_steps_option();
RangeSearch range_search(const Options& options);

// Each row through the format's own encoder.
void round_to_nearest(const LayerTask& task, const RangeSearch& search);
// The same as a whole method's `layer`, by its range options.
void round_by_ranges(const LayerTask& task, const Options& options);

}  // namespace pith
