// Round to nearest: each block of a row gets a range, then each value its nearest code. No value sees another
// outside its block.
#include "compress/method.h"
#include "core/error.h"

namespace pith {

namespace {

RangeSearch search_from(const Options& options) {
  RangeSearch search;
  const std::string& kind = options.text("range");
  search.kind = kind == "minmax" ? RangeSearch::Kind::minmax
                : kind == "lp"   ? RangeSearch::Kind::lp
                                 : RangeSearch::Kind::best;
  search.p = options.number("p");
  search.steps = int(options.number("steps"));
  return search;
}

void rtn_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = search_from(options);
  const dim bytes_per_row = row_bytes(*task.format, task.cols);
  for (dim row = 0; row < task.rows; ++row)
    task.format->encode(*task.format, task.source + row * task.cols, task.importance, task.cols, search,
                        task.out + row * bytes_per_row);
}

}  // namespace

extern const Method rtn_method;
const Method rtn_method{
    .name = "rtn",
    .family = "quantization",
    .summary = "rounds each value to the nearest code of its block's range",
    .paper = "the baseline of GPTQ (arXiv:2210.17323); range search by the p-norm as in its reference code",
    .options =
        {
            {.name = "range",
             .default_value = "best",
             .help = "how a block's range is found: the format's own search, the plain minimum and maximum, or "
                     "shrinking it for the least |error|^p",
             .choices = {"best", "minmax", "lp"}},
            {.name = "p", .default_value = "2.4", .help = "the power of range=lp", .choices = {}, .low = 1, .high = 8},
            {.name = "steps",
             .default_value = "80",
             .help = "how many ranges range=lp tries",
             .choices = {},
             .low = 1,
             .high = 1000},
        },
    .layer = rtn_layer,
};

}  // namespace pith
