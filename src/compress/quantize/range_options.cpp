#include "compress/quantize/range_options.h"

#include "core/error.h"

namespace pith {

OptionSpec range_option() {
  return {.name = "range",
          .default_value = "best",
          .help =
              "how a block's range is found: the format's own search, the plain minimum and maximum, or shrinking "
              "it for the least |error|^p",
          .choices = {"best", "minmax", "lp"}};
}

OptionSpec range_power_option() {
  return {.name = "p", .default_value = "2.4", .help = "the power of range=lp", .choices = {}, .low = 1, .high = 8};
}

OptionSpec range_steps_option() {
  return {.name = "steps",
          .default_value = "80",
          .help = "how many ranges range=lp tries",
          .choices = {},
          .low = 1,
          .high = 1000};
}

RangeSearch range_search(const Options& options) {
  RangeSearch search;
  const std::string& kind = options.text("range");
  search.kind = kind == "minmax" ? RangeSearch::Kind::minmax
                : kind == "lp"   ? RangeSearch::Kind::lp
                                 : RangeSearch::Kind::best;
  search.p = options.number("p");
  search.steps = int(options.number("steps"));
  return search;
}

void round_to_nearest(const LayerTask& task, const RangeSearch& search) {
  const dim bytes_per_row = row_bytes(*task.format, task.cols);
  for (dim row = 0; row < task.rows; ++row)
    task.format->encode(*task.format, task.source + row * task.cols, task.importance, task.cols, search,
                        task.out + row * bytes_per_row);
}

void round_by_ranges(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  round_to_nearest(task, range_search(options));
}

}  // namespace pith
