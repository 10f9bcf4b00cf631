#include "eval/fidelity/layer_fidelity.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "eval/fidelity/hidden_stream.h"

namespace pith {
namespace {

struct Sums {
  double base = 0, model = 0, difference = 0, product = 0;
  void add(const float* h, const float* other, dim n) {
    for (dim i = 0; i < n; ++i) {
      const double a = double(h[i]), b = double(other[i]);
      base += a * a;
      model += b * b;
      difference += (a - b) * (a - b);
      product += a * b;
    }
  }
  double error() const { return base > 0 ? std::sqrt(difference / base) : 0; }
  double cosine() const {
    if (difference == 0) return 1;  // which rounding might miss
    return base > 0 && model > 0 ? product / std::sqrt(base * model) : 0;
  }
};

double mean_cosine(std::span<const float> h, std::span<const float> other, dim width) {
  double sum = 0;
  const dim tokens = dim(h.size()) / width;
  for (dim t = 0; t < tokens; ++t) {
    Sums of_token;
    of_token.add(h.data() + t * width, other.data() + t * width, width);
    sum += of_token.cosine();
  }
  return sum / double(tokens);
}

double relative_error(std::span<const float> h, std::span<const float> other, const Model& model, dim layer) {
  Sums sums;
  sums.add(h.data(), other.data(), dim(h.size()));
  if (!std::isfinite(sums.base) || !std::isfinite(sums.model))
    throw input_error(model.path().string(), "expected finite activations, got NaN or infinity after layer {}", layer);
  return sums.error();
}

}  // namespace

double sqnr_db(double relative_error) {
  return relative_error > 0 ? -20 * std::log10(relative_error) : std::numeric_limits<double>::infinity();
}

std::vector<LayerFidelity> layer_fidelity(const Model& model, const Model& base,
                                          std::span<const std::vector<Token>> sequences, const ActPlan* act,
                                          Progress& progress) {
  const Config &own = model.config(), &other = base.config();
  if (!same_blocks(own, other))
    throw input_error("fidelity", "expected {} blocks of width {} as in the base, got {} of {}", other.layers,
                      other.hidden, own.layers, own.hidden);
  HiddenStream ours(model, sequences, act), theirs(base, sequences);
  std::vector<LayerFidelity> layers;
  std::vector<float> alone;
  progress.begin("layers", own.layers);
  for (dim layer = 0; layer < own.layers; ++layer) {
    alone.assign(theirs.hidden().begin(), theirs.hidden().end());
    ours.step(layer);
    ours.run(layer, alone);
    theirs.step(layer);
    layers.push_back({.error = relative_error(theirs.hidden(), ours.hidden(), model, layer),
                      .block_error = relative_error(theirs.hidden(), alone, model, layer),
                      .cosine = mean_cosine(theirs.hidden(), ours.hidden(), theirs.width())});
    progress.advance(1);
  }
  progress.end();
  return layers;
}

}  // namespace pith
