// Round to nearest: each block of a row gets a range, then each value its nearest code. No value sees another
// outside its block.
#include "compress/quantize/range_options.h"

namespace pith {

extern const Method rtn_method;
const Method rtn_method{
    .name = "rtn",
    .family = "quantization",
    .summary = "rounds each value to the nearest code of its block's range",
    .paper = "the baseline of GPTQ (arXiv:2210.17323); range search by the p-norm as in its reference code",
    .options = {range_option(), range_power_option(), range_steps_option()},
    .layer = round_by_ranges,
};

}  // namespace pith
