// OWQ: the columns where rounding does most harm are kept in float16. They come last, so that all errors of the others
// reach them.
#include <algorithm>
#include <numeric>

#include "compress/quantize/feedback_options.h"
#include "compress/quantize/outliers.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

struct WeakColumns : LayerState {
  std::unique_ptr<Feedback> feedback;
  std::vector<std::int32_t> columns;  // ascending
};

// H_jj |w_j - Q(w_j)|^2 of each column.
std::vector<double> harm_of_columns(const ScaledMatrix& m, const RangeSearch& search) {
  constexpr dim kRows = 64;  // of one partial sum, so that it does not depend on threads
  const std::vector<float> squares = m.stats->mean_squares();
  const dim parts = (m.rows + kRows - 1) / kRows;
  std::vector<double> errors(std::size_t(parts * m.cols));
  parallel_for(parts, [&](dim part) {
    std::vector<float> w(std::size_t(m.cols)), back(w.size());
    std::vector<std::byte> bytes(std::size_t(row_bytes(*m.format, m.cols)));
    for (dim r = part * kRows; r < std::min(m.rows, (part + 1) * kRows); ++r) {
      m.load(r, w.data());
      m.format->encode(*m.format, w.data(), squares.data(), m.cols, search, bytes.data());
      m.format->decode(*m.format, bytes.data(), m.cols, back.data());
      for (dim c = 0; c < m.cols; ++c) {
        const double e = double(w[std::size_t(c)]) - double(back[std::size_t(c)]);
        errors[std::size_t(part * m.cols + c)] += e * e;
      }
    }
  });
  std::vector<double> harm(std::size_t(m.cols));
  for (dim part = 0; part < parts; ++part)
    for (dim c = 0; c < m.cols; ++c) harm[std::size_t(c)] += errors[std::size_t(part * m.cols + c)];
  for (dim c = 0; c < m.cols; ++c) harm[std::size_t(c)] *= double(squares[std::size_t(c)]);
  return harm;
}

std::unique_ptr<LayerState> owq_prepare(const ScaledMatrix& m, const Options& options) {
  PITH_CHECK(m.stats && m.stats->moment);
  auto state = std::make_unique<WeakColumns>();
  state->columns.resize(std::size_t(m.outliers));
  if (m.outliers > 0) largest_scores(harm_of_columns(m, range_search(options)), state->columns);
  FeedbackOptions choice = feedback_choice(options, *m.format);
  choice.last = state->columns;
  state->feedback = make_feedback(*m.stats->moment, choice);
  state->note = state->feedback->note;
  return state;
}

OutlierShape outliers(const Format& format, dim cols, const Options& options) {
  if (format.joint > 1) return {};  // codes of several values leave no column to itself
  return {outliers_of_each_row(cols, options).per_row, true};
}

// No column is known to be weaker than another.
void without_measure(const LayerTask& task, const RangeSearch& search) {
  round_to_nearest(task, search);
  std::vector<float> decoded(std::size_t(task.cols));
  for (dim r = 0; r < task.rows; ++r) {
    std::iota(task.outlier_columns + r * task.outliers, task.outlier_columns + (r + 1) * task.outliers, 0);
    keep_apart(task, r, task.source + r * task.cols, decoded.data());
  }
}

void owq_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = range_search(options);
  if (!task.state) return without_measure(task, search);
  const auto& state = static_cast<const WeakColumns&>(*task.state);
  for (dim r = 0; r < task.rows; ++r)
    std::copy(state.columns.begin(), state.columns.end(), task.outlier_columns + r * task.outliers);
  round_with_feedback(*state.feedback, task, search);
  polish(*state.feedback, task, int(options.number("polish")));
}

}  // namespace

extern const Method owq_method;
const Method owq_method{
    .name = "owq",
    .family = "quantization",
    .summary = "keeps the columns that rounding harms most in float16, and rounds the others with feedback into them",
    .paper = "OWQ (arXiv:2306.02272)",
    .options = {outlier_percent_option("0.5"), range_option(), range_power_option(), range_steps_option(),
                damping_option(), act_order_option(), polish_option()},
    .needs = Needs::moments,
    .prepare_matrix = owq_prepare,
    .outliers = outliers,
    .layer = owq_layer,
};

}  // namespace pith
