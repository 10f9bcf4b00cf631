// RIA: a value counts by its share of its row and of its column, times a power of its input's size.
#include <cmath>

#include "compress/prune/ria_scores.h"
#include "core/parallel.h"

namespace pith {

namespace {

// Sums of |w| down the columns; rows in pieces of one size, so that no sum depends on the threads.
std::vector<double> column_sums(const ScaledMatrix& m) {
  constexpr dim kPiece = 64;
  const dim pieces = (m.rows + kPiece - 1) / kPiece;
  std::vector<std::vector<double>> of_piece(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](dim p) {
    std::vector<double>& sums = of_piece[std::size_t(p)];
    sums.resize(std::size_t(m.cols));
    std::vector<float> w(static_cast<std::size_t>(m.cols));
    for (dim r = p * kPiece; r < std::min(m.rows, (p + 1) * kPiece); ++r) {
      m.load(r, w.data());
      for (std::size_t c = 0; c < w.size(); ++c) sums[c] += std::fabs(double(w[c]));
    }
  });
  std::vector<double> out(std::size_t(m.cols), 0.0);
  for (const auto& sums : of_piece)
    for (std::size_t c = 0; c < out.size(); ++c) out[c] += sums[c];
  return out;
}

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  return encode_pruned(m, select_values(m, pruning_of(options), ria_scores(m, options.number("power"))), m.load);
}

}  // namespace

ScoreRow ria_scores(const ScaledMatrix& m, double power) {
  std::vector<double> down = column_sums(m), weight;
  for (const float norm : input_norms(m)) weight.push_back(std::pow(double(norm), power));
  return [down = std::move(down), weight = std::move(weight)](dim, const float* w, float* scores) {
    double across = 0;
    for (std::size_t c = 0; c < down.size(); ++c) across += std::fabs(double(w[c]));
    for (std::size_t c = 0; c < down.size(); ++c) {
      const double size = std::fabs(double(w[c]));
      scores[c] = size > 0 ? float((size / down[c] + size / across) * weight[c]) : 0;
    }
  };
}

OptionSpec ria_power_option() {
  return {.name = "power",
          .default_value = "0.5",
          .help = "of the inputs' size in a value's score",
          .choices = {},
          .low = 0,
          .high = 2};
}

extern const Method ria_method;
const Method ria_method{
    .name = "ria",
    .family = "pruning",
    .summary = "drops the values with the least share of their row and column, weighed by their inputs",
    .paper = "RIA (Zhang et al., Plug-and-Play, ICLR 2024)",
    .options = {sparsity_option(), pattern_option(), scope_option("matrix"), ria_power_option()},
    .needs = Needs::text,
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
