#include "compress/quantize/smoothquant.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "compress/quantize/range_options.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr double kAlphas[] = {0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9};
constexpr float kLeastFactor = 1e-5f;
constexpr dim kSampleRows = 128;

bool reads_a_norm(Role role) {
  switch (role) {
    case Role::attn_q:
    case Role::attn_k:
    case Role::attn_v:
    case Role::attn_qkv:
    case Role::ffn_gate:
    case Role::ffn_up:
    case Role::ffn_gate_up:
    case Role::expert_gate:
    case Role::expert_up:
    case Role::shared_gate:
    case Role::shared_up:
      return true;
    default:
      return false;
  }
}

// Of the inputs divided by the factors.
double input_step(const InputStats& stats, std::span<const float> factors, const ActPlan& act) {
  double most = 0;
  for (std::size_t c = 0; c < factors.size(); ++c) {
    const double rms = std::sqrt(stats.squares[c] / double(std::max<dim>(1, stats.tokens)));
    const double usual = act.fixed ? double(stats.peaks[c]) : std::min(double(stats.peaks[c]), 4 * rms);
    most = std::max(most, usual / double(factors[c]));
  }
  return most * double(act.clip) / double(act.top());
}

std::vector<float> smoothquant_scale(std::span<const ScaledMatrix> matrices, const Options& options) {
  if (options.text("edges") == "norm" && !reads_a_norm(matrices[0].role)) return {};
  const ColumnPeaks peaks = column_peaks(matrices);
  if (options.text("alpha") != "search") {
    double alpha = 0;
    const std::string& text = options.text("alpha");
    std::from_chars(text.data(), text.data() + text.size(), alpha);
    return smoothing_factors(peaks, alpha);
  }
  ActPlan act = matrices[0].act;
  if (!act.on()) act.codes = ActPlan::Codes::integer;  // what the factors are for, though the recipe does not say so
  const RangeSearch plain{RangeSearch::Kind::minmax, 2.4, 80};
  std::vector<float> best(peaks.inputs.size(), 1.0f);
  double least = smoothing_loss(matrices, best, act, plain, kSampleRows);
  for (const double alpha : kAlphas) {
    std::vector<float> factors = smoothing_factors(peaks, alpha);
    const double loss = smoothing_loss(matrices, factors, act, plain, kSampleRows);
    if (loss < least) {
      least = loss;
      best = std::move(factors);
    }
  }
  if (!std::isfinite(least)) throw input_error("calibration", "expected finite activations");
  return best;
}

}  // namespace

ColumnPeaks column_peaks(std::span<const ScaledMatrix> matrices) {
  PITH_CHECK(!matrices.empty());
  const auto cols = std::size_t(matrices[0].cols);
  ColumnPeaks out{std::vector<float>(cols), std::vector<float>(cols)};
  for (const ScaledMatrix& m : matrices) {
    PITH_CHECK(m.stats && m.stats->cols == m.cols && m.cols == dim(cols));
    for (std::size_t c = 0; c < cols; ++c) out.inputs[c] = std::max(out.inputs[c], m.stats->peaks[c]);
    std::vector<float> row(cols);
    for (dim r = 0; r < m.rows; ++r) {
      m.load(r, row.data());
      for (std::size_t c = 0; c < cols; ++c) out.weights[c] = std::max(out.weights[c], std::fabs(row[c]));
    }
  }
  return out;
}

std::vector<float> smoothing_factors(const ColumnPeaks& peaks, double alpha) {
  std::vector<float> out;
  for (std::size_t c = 0; c < peaks.inputs.size(); ++c) {
    const double x = double(peaks.inputs[c]), w = double(peaks.weights[c]);
    const double s = x > 0 && w > 0 ? std::pow(x, alpha) / std::pow(w, 1 - alpha) : 1;
    out.push_back(std::max(kLeastFactor, float(s)));
  }
  return out;
}

double smoothing_loss(std::span<const ScaledMatrix> matrices, std::span<const float> factors, const ActPlan& act,
                      const RangeSearch& range, dim most_rows) {
  double sum = 0;
  for (const ScaledMatrix& m : matrices) {
    const double step = input_step(*m.stats, factors, act), noise = step * step / 12;
    const std::vector<float> squares = m.stats->mean_squares();
    const dim count = std::min(m.rows, most_rows);
    std::vector<double> of_row(static_cast<std::size_t>(count));
    parallel_ranges(count, 1, [&](dim begin, dim end) {
      std::vector<float> w(factors.size()), near(factors.size());
      std::vector<std::byte> codes(std::size_t(row_bytes(*m.format, m.cols)));
      for (dim i = begin; i < end; ++i) {
        m.load(i * m.rows / count, w.data());
        for (std::size_t c = 0; c < w.size(); ++c) w[c] *= factors[c];
        m.format->encode(*m.format, w.data(), nullptr, m.cols, range, codes.data());
        m.format->decode(*m.format, codes.data(), m.cols, near.data());
        for (std::size_t c = 0; c < w.size(); ++c) {
          const double error = (double(near[c]) - double(w[c])) / double(factors[c]);
          of_row[std::size_t(i)] += error * error * double(squares[c]) + double(w[c]) * double(w[c]) * noise;
        }
      }
    });
    for (const double loss : of_row) sum += loss * double(m.rows) / double(count);
  }
  return sum;
}

extern const Method smoothquant_method;
const Method smoothquant_method{
    .name = "smoothquant",
    .family = "quantization",
    .summary = "divides inputs by what makes them hard to round, and multiplies the weights that they meet",
    .paper = "SmoothQuant (arXiv:2211.10438)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "alpha",
             .default_value = "search",
             .help = "how much of the inputs' range the weights take over: the same everywhere, or what rounds best "
                     "for each input",
             .choices = {"search", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.85", "0.9", "1"}},
            {.name = "edges",
             .default_value = "norm",
             .help = "inputs that come from a norm alone, as in the paper, or all that can be scaled",
             .choices = {"norm", "all"}},
        },
    .needs = Needs::moments,
    .layer = round_by_ranges,
    .scale = smoothquant_scale,
};

}  // namespace pith
