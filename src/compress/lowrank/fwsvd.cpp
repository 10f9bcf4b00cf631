// FWSVD: rows count as much as the loss feels them, by the Fisher information of their weights.
#include <cmath>
#include <map>

#include "compress/lowrank/factorize.h"
#include "core/error.h"
#include "model/backward/model_backward.h"

namespace pith {

namespace {

// For each matrix the sums over rows of squared gradients, each token's apart.
class RowInformation {
 public:
  explicit RowInformation(const Model& model) : model_(model) {
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
      const ModelTensor& t = model.tensors()[i];
      if (!is_linear_matrix(t) || t.layer < 0) continue;
      of_layer_[t.layer].push_back(i);
      sums_[i].resize(std::size_t(t.weight.rows));
    }
  }

  void measure(const CalibrationTokens& tokens, std::size_t most, Progress& progress) {
    const std::size_t count = std::min(most, tokens.sequences.size());
    std::size_t longest = 0;
    for (std::size_t s = 0; s < count; ++s) longest = std::max(longest, tokens.sequences[s].size());
    ModelBackward backward(Network::of(model_), dim(longest), 1);
    progress.begin("gradients", dim(count));
    for (std::size_t s = 0; s < count; ++s) {
      if (tokens.sequences[s].size() < 2) continue;
      backward.run(
          std::span(&tokens.sequences[s], 1), {}, [&](dim layer) { return wanted(layer); },
          [&](dim layer) { add(layer); });
      progress.advance(1, "measuring which outputs matter");
    }
  }

  // The roots, relative to their mean; rows that nothing was felt of count a little.
  std::vector<double> weights(std::size_t tensor) const {
    std::vector<double> out;
    double mean = 0;
    for (const double sum : sums_.at(tensor)) {
      out.push_back(std::sqrt(sum));
      mean += out.back() / double(sums_.at(tensor).size());
    }
    if (!(mean > 0)) return {};
    for (double& w : out) w = std::max(w / mean, 1e-4);
    return out;
  }

 private:
  BlockGradients wanted(dim layer) {
    BlockGradients out;
    for (const std::size_t i : of_layer_.at(layer)) {
      const ModelTensor& t = model_.tensors()[i];
      squares_[i].assign(std::size_t(t.weight.rows * t.weight.cols), 0.0f);
      if (Gradient* g = find_gradient(out, t.role)) *g = {squares_[i].data(), nullptr, true};
    }
    return out;
  }

  void add(dim layer) {
    for (const std::size_t i : of_layer_.at(layer)) {
      std::vector<double>& sums = sums_.at(i);
      const std::size_t cols = squares_[i].size() / sums.size();
      for (std::size_t k = 0; k < squares_[i].size(); ++k) sums[k / cols] += double(squares_[i][k]);
      squares_.erase(i);
    }
  }

  const Model& model_;
  std::map<dim, std::vector<std::size_t>> of_layer_;  // into Model::tensors()
  std::map<std::size_t, std::vector<float>> squares_;
  std::map<std::size_t, std::vector<double>> sums_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out = factorize_options(true);
  out.push_back({.name = "samples",
                 .default_value = "16",
                 .help = "pieces of the calibration text whose gradients are measured",
                 .choices = {},
                 .low = 1,
                 .high = 4096});
  return out;
}

}  // namespace

extern const Method fwsvd_method;
const Method fwsvd_method{
    .name = "fwsvd",
    .family = "low rank",
    .summary = "factors matrices whose rows were scaled by how much the loss feels them",
    .paper = "FWSVD (arXiv:2207.00112)",
    .options = options(),
    .needs = Needs::text,
    .reshape =
        [](const ReshapeTask& task, const Options& options) {
          RowInformation rows(task.model);
          rows.measure(task.tokens(), std::size_t(options.number("samples")), task.progress);
          return factorize({task, options, false, [&](std::size_t tensor, const InputStats*) {
                              return Weighing{.rows = rows.weights(tensor), .cols = {}};
                            }});
        },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
