// SqueezeLLM: a row's levels are placed where weights matter (k-means with a weight for each value), after what lies
// far from the others was set apart. A row keeps equally many values apart: first those beyond the whiskers of its box
// plot, then those that its levels would damage most.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "compress/quantize/outliers.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

struct Whiskers {
  float low, high;
  double beyond(float v) const { return v < low ? double(low) - v : v > high ? double(v) - high : 0; }
};

Whiskers whiskers_of(std::span<const float> row, double reach) {
  std::vector<float> sorted(row.begin(), row.end());
  const auto quartile = [&](std::size_t i) {
    std::nth_element(sorted.begin(), sorted.begin() + std::ptrdiff_t(i), sorted.end());
    return sorted[i];
  };
  const float q1 = quartile(sorted.size() / 4), q3 = quartile(sorted.size() * 3 / 4);
  const float width = float(reach) * (q3 - q1);
  return {q1 - width, q3 + width};
}

// One row at a time, by one thread.
class DenseAndSparse {
 public:
  DenseAndSparse(const LayerTask& task, const Options& options)
      : task_(task),
        search_(range_search(options)),
        reach_(options.number("whiskers")),
        fisher_(options.text("weights") == "fisher" ? task.fisher : nullptr),
        weighs_(fisher_ || (options.text("weights") != "equal" && task.importance)),
        values_(std::size_t(task.cols)),
        decoded_(values_.size()),
        weights_(values_.size()),
        scores_(values_.size()) {
    sensitive_ = std::min(task.outliers, dim(std::lround(options.number("sensitive") / 100 * double(task.outliers))));
  }

  void run(dim row) {
    const std::span source(task_.source + row * task_.cols, values_.size());
    std::copy(source.begin(), source.end(), values_.begin());
    fill_weights(row);
    if (task_.outliers == 0) return encode(row);
    const std::span columns(task_.outlier_columns + row * task_.outliers, std::size_t(task_.outliers));
    const dim far = set_far_apart(source, columns);
    encode(row);
    if (far < task_.outliers) add_damaged(row, source, columns);
    keep_apart(task_, row, source.data(), decoded_.data());
  }

 private:
  // Only their ratios count; gradients squared may be too small for products in f32.
  void fill_weights(dim row) {
    if (!fisher_) {
      for (std::size_t c = 0; c < weights_.size(); ++c) weights_[c] = weighs_ ? task_.importance[c] : 1.0f;
      return;
    }
    const std::span own(fisher_ + row * task_.cols, weights_.size());
    const double mean = std::accumulate(own.begin(), own.end(), 0.0) / double(own.size());
    for (std::size_t c = 0; c < weights_.size(); ++c) weights_[c] = mean > 0 ? float(double(own[c]) / mean) : 1.0f;
  }

  void encode(dim row) {
    const Format& f = *task_.format;
    f.encode(f, values_.data(), weighs_ || task_.outliers > 0 ? weights_.data() : nullptr, task_.cols, search_,
             task_.out + row * row_bytes(f, task_.cols));
  }

  // What lies beyond the whiskers, farthest first: counts for nothing in the levels any more. How many.
  dim set_far_apart(std::span<const float> source, std::span<std::int32_t> columns) {
    const Whiskers whiskers = whiskers_of(source, reach_);
    dim beyond = 0;
    for (std::size_t c = 0; c < scores_.size(); ++c) {
      scores_[c] = whiskers.beyond(source[c]);
      beyond += scores_[c] > 0;
    }
    const dim far = std::min(beyond, task_.outliers - sensitive_);
    largest_scores(scores_, columns.first(std::size_t(far)));
    taken_.assign(scores_.size(), false);
    for (const std::int32_t c : columns.first(std::size_t(far))) {
      taken_[std::size_t(c)] = true;
      weights_[std::size_t(c)] = 0;
      values_[std::size_t(c)] = std::clamp(source[std::size_t(c)], whiskers.low, whiskers.high);
    }
    return far;
  }

  // The places left go to the values whose errors weigh most.
  void add_damaged(dim row, std::span<const float> source, std::span<std::int32_t> columns) {
    const Format& f = *task_.format;
    f.decode(f, task_.out + row * row_bytes(f, task_.cols), task_.cols, decoded_.data());
    for (std::size_t c = 0; c < scores_.size(); ++c) {
      const double e = double(source[c]) - double(decoded_[c]);
      scores_[c] = taken_[c] ? std::numeric_limits<double>::infinity() : double(weights_[c]) * e * e;
    }
    largest_scores(scores_, columns);
  }

  const LayerTask& task_;
  RangeSearch search_;
  double reach_;
  const float* fisher_;  // or null
  bool weighs_;
  dim sensitive_;  // places that are not for values beyond the whiskers
  std::vector<float> values_, decoded_, weights_;
  std::vector<double> scores_;
  std::vector<bool> taken_;
};

OutlierShape outliers(const Format&, dim cols, const Options& options) { return outliers_of_each_row(cols, options); }

void squeezellm_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  DenseAndSparse rows(task, options);
  for (dim r = 0; r < task.rows; ++r) rows.run(r);
}

}  // namespace

extern const Method squeezellm_method;
const Method squeezellm_method{
    .name = "squeezellm",
    .family = "quantization",
    .summary = "levels by k-means where weights matter, outliers apart; meant for kmeans2_row to kmeans4_row",
    .paper = "SqueezeLLM (arXiv:2306.07629)",
    .options =
        {
            outlier_percent_option("0.45"),
            {.name = "whiskers",
             .default_value = "1.8",
             .help = "a value is far out when it lies so many interquartile ranges beyond the quartiles of its row",
             .choices = {},
             .low = 0,
             .high = 100},
            {.name = "sensitive",
             .default_value = "10",
             .help = "percent of the places that are kept for the values whose errors weigh most; so are those that no "
                     "far one takes",
             .choices = {},
             .low = 0,
             .high = 100},
            {.name = "weights",
             .default_value = "fisher",
             .help = "of the values in k-means: their squared gradients (the Fisher information's diagonal), mean "
                     "squares of the inputs where they were measured, or equal",
             .choices = {"fisher", "inputs", "equal"}},
            range_option(),
            range_power_option(),
            range_steps_option(),
        },
    .outliers = outliers,
    .fisher = [](const Options& options) { return options.text("weights") == "fisher"; },
    .layer = squeezellm_layer,
};

}  // namespace pith
