#include "eval/profile.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "eval/fidelity/hidden_stream.h"

namespace pith {
namespace {

struct Counter {
  Histogram h;
  double total = 0;
  Counter(double low, double high, std::size_t bins) : h{low, high, std::vector<double>(bins, 0.0)} {}
  void add(double x) {
    const double place = (x - h.low) / (h.high - h.low) * double(h.shares.size());
    ++h.shares[std::size_t(std::clamp(place, 0.0, double(h.shares.size() - 1)))];
    ++total;
  }
  Histogram done() {
    for (double& share : h.shares) share = total > 0 ? share / total : 0;
    return std::move(h);
  }
};

double root_mean_square(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += double(v) * double(v);
  return x.empty() ? 0 : std::sqrt(sum / double(x.size()));
}

double relative_error(std::span<const float> base, std::span<const float> x) {
  double sum = 0, of = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = double(base[i]) - double(x[i]);
    sum += d * d;
    of += double(base[i]) * double(base[i]);
  }
  return of > 0 ? std::sqrt(sum / of) : 0;
}

std::span<const Token> within(std::span<const Token> tokens, const Config& config) {
  return config.context > 0 ? tokens.first(std::min(tokens.size(), std::size_t(config.context))) : tokens;
}

}  // namespace

LayerProfile profile_layers(const Model& model, const Model* base, std::span<const Token> tokens, Progress& progress) {
  LayerProfile profile;
  if (base && !same_blocks(model.config(), base->config())) base = nullptr;
  tokens = within(tokens, model.config());
  if (base) tokens = within(tokens, base->config());
  PITH_CHECK(!tokens.empty());
  profile.tokens = dim(tokens.size());
  const std::vector<std::vector<Token>> sequence = {{tokens.begin(), tokens.end()}};
  HiddenStream own(model, sequence);
  std::optional<HiddenStream> theirs;
  if (base) theirs.emplace(*base, sequence);
  Counter counter(-3, 3, 60);
  progress.begin("layers", model.config().layers);
  for (dim layer = 0; layer < model.config().layers; ++layer) {
    own.step(layer);
    if (theirs) theirs->step(layer);
    const double rms = root_mean_square(own.hidden());
    if (!std::isfinite(rms))
      throw input_error(model.path().string(), "expected finite activations, got NaN or infinity after layer {}",
                        layer);
    double most = 0;
    for (const float v : own.hidden()) {
      most = std::max(most, double(std::fabs(v)));
      if (v != 0 && rms > 0) counter.add(std::log10(double(std::fabs(v)) / rms));
    }
    profile.peaks.push_back(rms > 0 ? most / rms : 0);
    if (theirs) profile.errors.push_back(relative_error(theirs->hidden(), own.hidden()));
    progress.advance(1);
  }
  progress.end();
  profile.activations = counter.done();
  return profile;
}

Histogram weight_histogram(const Model& model) {
  constexpr dim kMostValues = dim(1) << 22;
  dim all = 0;
  const auto counted = [](const ModelTensor& t) { return is_linear_matrix(t); };
  for (const ModelTensor& t : model.tensors())
    if (counted(t)) all += t.weight.rows * t.weight.cols;
  const dim stride = std::max<dim>(1, all / kMostValues);
  Counter counter(-4, 4, 80);
  std::vector<float> part;
  for (const ModelTensor& t : model.tensors()) {
    if (!counted(t)) continue;
    const dim cols = t.weight.cols;
    const dim rows = (t.weight.rows + stride - 1) / stride;
    part.resize(std::size_t(rows * cols));
    for (dim r = 0; r < rows; ++r) decode_row(t, r * stride, part.data() + r * cols);
    const double rms = root_mean_square(part);
    if (rms > 0 && std::isfinite(rms))
      for (const float v : part) counter.add(double(v) / rms);
    model.release(t);
  }
  return counter.done();
}

}  // namespace pith
