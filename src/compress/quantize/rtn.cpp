// Round to nearest: each block of a row gets a range, then each value its nearest code. No value sees another
// outside its block.
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

void rtn_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  round_to_nearest(task, range_search(options));
}

}  // namespace

extern const Method rtn_method;
const Method rtn_method{
    .name = "rtn",
    .family = "quantization",
    .summary = "rounds each value to the nearest code of its block's range",
    .paper = "the baseline of GPTQ (arXiv:2210.17323); range search by the p-norm as in its reference code",
    .options = {range_option(), range_power_option(), range_steps_option()},
    .layer = rtn_layer,
};

}  // namespace pith
