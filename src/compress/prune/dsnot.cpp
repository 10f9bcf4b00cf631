// DSnoT: another method's choice, then exchanges row by row that take back the shift of the outputs' mean.
#include <algorithm>

#include "compress/prune/exchange_values.h"
#include "compress/prune/pruned_matrix.h"
#include "core/parallel.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  const Pruning pruning = pruning_of(options);
  const std::vector<float> norms = input_norms(m);
  const bool by_inputs = options.text("start") == "wanda";
  auto kept =
      select_values(m, pruning, magnitude_scores(by_inputs ? norms : std::vector<float>(std::size_t(m.cols), 1.0f)));
  if (m.stats && m.stats->tokens > 0) {
    const double tokens = double(m.stats->tokens);
    std::vector<double> mean, variance;
    for (std::size_t c = 0; c < norms.size(); ++c) {
      mean.push_back(m.stats->sums[c] / tokens);
      variance.push_back(std::max(0.0, m.stats->squares[c] / tokens - mean[c] * mean[c]));
    }
    const ExchangeInputs in{mean, variance, norms, options.number("power")};
    parallel_ranges(m.rows, 16, [&](dim begin, dim end) {
      std::vector<float> w(static_cast<std::size_t>(m.cols));
      for (dim r = begin; r < end; ++r) {
        m.load(r, w.data());
        exchange_values(in, w.data(), pruning.of, int(options.number("rounds")), kept.data() + r * m.cols);
      }
    });
  }
  return encode_pruned(m, kept, m.load);
}

}  // namespace

extern const Method dsnot_method;
const Method dsnot_method{
    .name = "dsnot",
    .family = "pruning",
    .summary = "prunes as another method does, then exchanges values so that outputs keep their mean",
    .paper = "DSnoT (arXiv:2310.08915)",
    .options = {sparsity_option(),
                pattern_option(),
                scope_option("row"),
                {.name = "start",
                 .default_value = "wanda",
                 .help = "whose choice is the first",
                 .choices = {"wanda", "magnitude"}},
                {.name = "rounds",
                 .default_value = "50",
                 .help = "most exchanges in a row",
                 .choices = {},
                 .low = 0,
                 .high = 10000},
                {.name = "power",
                 .default_value = "1",
                 .help = "of an input's variance, which makes its values less worth growing",
                 .choices = {},
                 .low = 0,
                 .high = 4}},
    .needs = Needs::text,
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
