// SpQR: the values whose absence lets their neighbours be rounded best are kept apart; all others are rounded with
// feedback. Outliers are found on the weights as they are: a group's range is drawn without one of its values, and what
// the group's errors cost less by is what that value is worth. A row keeps its most valuable ones.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/quantize/feedback_options.h"
#include "compress/quantize/outliers.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

// What leaving out values of one group is worth, one after another. Errors are those of an even grid of 2^bits codes
// between the least and the largest value that is left.
class LeaveOut {
 public:
  LeaveOut(std::span<const float> values, const float* cost, int top) : x_(values), cost_(cost), top_(top) {}

  // Fills worth, which is 0 for values that are not worth it: at most `most` values; each no more than the one before.
  void run(dim most, std::span<double> worth) {
    std::vector<bool> out(x_.size());
    double now = error(out, nullptr), last = std::numeric_limits<double>::infinity();
    for (dim step = 0; step < std::min<dim>(most, dim(x_.size()) - 1); ++step) {
      const auto [best, left] = best_of(out);
      if (!(left < now)) return;
      out[best] = true;
      last = std::min(last, now - left);
      worth[best] = last;
      now = left;
    }
  }

 private:
  // Only the ends of the range, and the value with the largest error, can be worth much.
  std::pair<std::size_t, double> best_of(std::vector<bool>& out) {
    std::size_t candidates[3];
    candidates[2] = 0;
    error(out, &candidates[2]);
    candidates[0] = candidates[1] = candidates[2];
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (out[i]) continue;
      if (x_[i] < x_[candidates[0]]) candidates[0] = i;
      if (x_[i] > x_[candidates[1]]) candidates[1] = i;
    }
    std::pair<std::size_t, double> best = {0, std::numeric_limits<double>::infinity()};
    for (const std::size_t c : candidates) {
      out[c] = true;
      const double left = error(out, nullptr);
      if (left < best.second) best = {c, left};
      out[c] = false;
    }
    return best;
  }

  // Of the values that are not out; `worst` becomes the one that costs most.
  double error(const std::vector<bool>& out, std::size_t* worst) const {
    float low = 0, high = 0;
    for (std::size_t i = 0; i < x_.size(); ++i)
      if (!out[i]) low = std::min(low, x_[i]), high = std::max(high, x_[i]);
    const double scale = (double(high) - double(low)) / top_, inverse = scale > 0 ? 1 / scale : 0;
    double sum = 0, most = -1;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (out[i]) continue;
      const double code = std::nearbyint((double(x_[i]) - double(low)) * inverse);
      const double e = double(x_[i]) - double(low) - code * scale, costs = double(cost_[i]) * e * e;
      sum += costs;
      if (costs > most && worst) most = costs, *worst = i;
    }
    return sum;
  }

  std::span<const float> x_;
  const float* cost_;
  int top_;
};

std::unique_ptr<LayerState> spqr_prepare(const InputStats& stats, const Format& format, const Options& options) {
  PITH_CHECK(stats.moment);
  return make_feedback(*stats.moment, feedback_choice(options, format));
}

OutlierShape outliers(const Format& format, dim cols, const Options& options) {
  return format.joint > 1 ? OutlierShape() : outliers_of_each_row(cols, options);
}

// cost: of each column's errors.
void choose(const LayerTask& task, std::span<const float> cost, const Options& options) {
  const dim group = dim(options.number("group"));
  const int bits = std::clamp(int(bits_per_weight(*task.format, task.cols)), 1, 8);
  std::vector<double> worth(std::size_t(task.cols));
  for (dim r = 0; r < task.rows; ++r) {
    std::fill(worth.begin(), worth.end(), 0.0);
    for (dim begin = 0; begin < task.cols; begin += group) {
      const auto n = std::size_t(std::min(group, task.cols - begin));
      LeaveOut({task.source + r * task.cols + begin, n}, cost.data() + begin, (1 << bits) - 1)
          .run(task.outliers, std::span(worth).subspan(std::size_t(begin), n));
    }
    largest_scores(worth, {task.outlier_columns + r * task.outliers, std::size_t(task.outliers)});
  }
}

void spqr_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = range_search(options);
  const auto* feedback = static_cast<const Feedback*>(task.state);
  if (task.outliers > 0)
    choose(task, feedback ? feedback->cost : std::vector<float>(std::size_t(task.cols), 1.0f), options);
  if (!feedback) {
    round_to_nearest(task, search);
    std::vector<float> decoded(std::size_t(task.cols));
    for (dim r = 0; task.outliers > 0 && r < task.rows; ++r)
      keep_apart(task, r, task.source + r * task.cols, decoded.data());
    return;
  }
  round_with_feedback(*feedback, task, search);
  polish(*feedback, task, int(options.number("polish")));
}

}  // namespace

extern const Method spqr_method;
const Method spqr_method{
    .name = "spqr",
    .family = "quantization",
    .summary = "keeps apart what its neighbours are rounded better without, the others with feedback; for small groups",
    .paper = "SpQR (arXiv:2306.03078)",
    .options = {outlier_percent_option("1"),
                {.name = "group",
                 .default_value = "16",
                 .help = "values whose common range is looked at to find outliers",
                 .choices = {},
                 .low = 2,
                 .high = 1 << 20},
                range_option(),
                range_power_option(),
                range_steps_option(),
                damping_option(),
                act_order_option(),
                polish_option()},
    .needs = Needs::moments,
    .prepare = spqr_prepare,
    .outliers = outliers,
    .layer = spqr_layer,
};

}  // namespace pith
