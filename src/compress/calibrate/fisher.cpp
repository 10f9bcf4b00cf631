#include "compress/calibrate/fisher.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "model/backward/model_backward.h"

namespace pith {

namespace {

constexpr const char* kScratch = "fisher-diagonal";
constexpr const char* kPiece = "fisher diagonal";

dim values_of(const ModelTensor& t) { return t.weight.rows * t.weight.cols; }

std::span<std::byte> bytes_of(float* values, dim count) {
  return std::as_writable_bytes(std::span(values, std::size_t(count)));
}

}  // namespace

bool FisherDiagonal::has_gradient(const ModelTensor& t) {
  BlockGradients any;
  return t.layer >= 0 && t.expert < 0 && !t.vector && t.part == Part::weight && find_gradient(any, t.role);
}

dim FisherDiagonal::scratch_bytes(const Model& model, std::span<const std::size_t> tensors) {
  dim values = 0;
  for (const std::size_t i : tensors) values += values_of(model.tensors()[i]);
  return values * dim(sizeof(float));
}

dim FisherDiagonal::working_bytes(const Model& model, std::span<const std::size_t> tensors, dim length) {
  const Config& c = model.config();
  std::vector<dim> of_layer(std::size_t(c.layers), 0);
  dim widest = 0;
  for (const std::size_t i : tensors) {
    const ModelTensor& t = model.tensors()[i];
    of_layer[std::size_t(t.layer)] += values_of(t);
    widest = std::max(widest, values_of(t));
  }
  const dim gradients = *std::max_element(of_layer.begin(), of_layer.end()) + widest;
  const dim streams = (c.layers + 16) * c.hidden + 8 * c.ffn + 6 * c.heads * c.head_dim;
  constexpr dim kLogitRows = 64;
  return (gradients + length * streams + kLogitRows * c.vocab) * dim(sizeof(float));
}

FisherDiagonal::FisherDiagonal(const Model& model, std::span<const std::size_t> tensors, Stage& stage)
    : model_(model), stage_(stage) {
  dim at = 0;
  for (const std::size_t i : tensors) {
    PITH_CHECK(has_gradient(model.tensors()[i]));
    at_[i] = at;
    at += values_of(model.tensors()[i]) * dim(sizeof(float));
  }
  stage_.add_scratch(kScratch, at);
}

void FisherDiagonal::load(std::size_t tensor, dim row, float* to) const {
  const dim cols = model_.tensors()[tensor].weight.cols;
  stage_.read(kScratch, at_.at(tensor) + row * cols * dim(sizeof(float)), bytes_of(to, cols));
}

void FisherDiagonal::add(std::size_t tensor, const float* squares, bool first) {
  const dim count = values_of(model_.tensors()[tensor]);
  sums_.reserve(count * dim(sizeof(float)));
  auto* sums = sums_.as<float>();
  const auto bytes = bytes_of(sums, count);
  if (!first) stage_.read(kScratch, at_[tensor], bytes);
  parallel_ranges(count, dim(1) << 14, [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) sums[i] = (first ? 0.0f : sums[i]) + squares[i];
  });
  stage_.write(kScratch, at_[tensor], bytes);
}

void FisherDiagonal::measure(const CalibrationTokens& tokens, Progress& progress) {
  if (stage_.recorded(kPiece)) return;
  std::size_t longest = 0;
  for (const auto& s : tokens.sequences) longest = std::max(longest, s.size());
  ModelBackward backward(Network::of(model_), dim(longest), 1);
  struct Place {
    std::size_t tensor;
    dim at;  // in a block's squares
  };
  std::vector<std::vector<Place>> of_layer(std::size_t(model_.config().layers));
  std::vector<dim> values(of_layer.size(), 0);
  for (const auto& [tensor, at] : at_) {
    const auto layer = std::size_t(model_.tensors()[tensor].layer);
    of_layer[layer].push_back({tensor, values[layer]});
    values[layer] += values_of(model_.tensors()[tensor]);
  }
  std::vector<float> squares;
  const auto wanted = [&](dim layer) {
    squares.assign(std::size_t(values[std::size_t(layer)]), 0.0f);
    BlockGradients out;
    for (const Place& p : of_layer[std::size_t(layer)])
      *find_gradient(out, model_.tensors()[p.tensor].role) = {squares.data() + p.at, nullptr, true};
    return out;
  };
  for (std::size_t s = 0; s < tokens.sequences.size(); ++s) {
    backward.run(std::span(&tokens.sequences[s], 1), {}, wanted, [&](dim layer) {
      for (const Place& p : of_layer[std::size_t(layer)]) add(p.tensor, squares.data() + p.at, s == 0);
    });
    progress.advance(1, "measuring which weights matter");
  }
  stage_.record(kPiece);
}

}  // namespace pith
