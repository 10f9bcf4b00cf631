#include "train/state_filters.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "formats/format.h"
#include "kernels/rows.h"
#include "model/backward/head.h"
#include "model/forward_reserve.h"
#include "ops/cross_entropy.h"

namespace pith {

namespace {

constexpr dim kBatch = 4, kMicroTokens = 1024;  // of the first stage

// 1 on the diagonal where both sides are as wide, else small random numbers.
void begin_values(Parameter& p, std::uint64_t seed) {
  auto* values = p.values.as<float>();
  const double bound = 1 / std::sqrt(double(p.cols));
  for (dim r = 0; r < p.rows; ++r)
    for (dim c = 0; c < p.cols; ++c)
      values[r * p.cols + c] = p.rows == p.cols
                                   ? float(r == c)
                                   : float(bound * (2 * double(uniform_at(seed, std::uint64_t(r * p.cols + c))) - 1));
}

void gather(const float* rows, dim width, std::span<const dim> places, float* out) {
  for (const dim place : places) out = std::copy_n(rows + place * width, width, out);
}

}  // namespace

StateFilters::StateFilters(const HiddenLoss& choice, dim from, dim to)
    : choice_(choice), from_(from), to_(to), count_(choice.pairs.size()) {
  const std::size_t all = choice.map == StateMap::filters ? 2 * count_ : count_;
  for (std::size_t i = 0; i < all; ++i) {
    parameters_.emplace_back(0, ParameterKind::filter, to, i < count_ ? from : to);
    begin_values(parameters_.back(), mix64(choice.seed, i));
  }
  for (Parameter& p : parameters_) {
    Map& map = maps_.emplace_back();
    map.parameter = &p;
    auto& view = std::get<Encoded>(map.weight);
    view.format = &f32_format();
    view.rows = p.rows;
    view.cols = p.cols;
    view.data = p.values.data();
  }
}

double StateFilters::part(std::size_t pair, std::span<const dim> places, const float* x, const float* teacher,
                          double weight, float* gradient) {
  const auto n = dim(places.size());
  float *in = reserve(x_, n * from_), *y = reserve(y_, n * to_), *t = reserve(t_, n * to_), *dy = reserve(dy_, n * to_),
        *dx = reserve(dx_, n * from_);
  gather(x, from_, places, in);
  gather(teacher, to_, places, t);
  Map& mine = *of_student(pair);
  linear({.weight = &mine.weight, .x = in, .n = n, .y = y, .y_stride = to_}, linear_);
  if (const Map* theirs = of_teacher(pair)) {
    float* z = reserve(z_, n * to_);
    linear({.weight = &theirs->weight, .x = t, .n = n, .y = z, .y_stride = to_}, linear_);
    t = z;
  }
  std::fill_n(dy, n * to_, 0.0f);
  double sum = 0;
  for (dim i = 0; i < n; ++i)
    sum += weight * hidden_row(choice_.kind, y + i * to_, t + i * to_, to_, weight, dy + i * to_);
  linear_backward(
      {.weight = &mine.weight, .x = in, .dy = dy, .n = n, .dx = dx, .dweight = mine.parameter->gradient.as<float>()},
      backward_);
  for (dim i = 0; i < n; ++i) add(gradient + places[std::size_t(i)] * from_, dx + i * from_, from_);
  return sum;
}

struct StateFilters::Stage {
  Head head;
  dim rows, vocab;
  double weight = 0, loss = 0;
};

// Adds a filter's part of a batch to the stage's loss and its gradient.
void StateFilters::next_token_step(Stage& stage, const MicroBatch& batch, Map& map, const float* states, dim width) {
  for (std::size_t at = 0; at < batch.places.size(); at += std::size_t(stage.rows)) {
    const std::size_t count = std::min(std::size_t(stage.rows), batch.places.size() - at);
    const auto n = dim(count);
    float *x = reserve(x_, n * width), *y = reserve(y_, n * to_), *dy = reserve(dy_, n * to_);
    gather(states, width, std::span(batch.places).subspan(at, count), x);
    linear({.weight = &map.weight, .x = x, .n = n, .y = y, .y_stride = to_}, linear_);
    std::vector<dim> rows;
    for (dim i = 0; i < n; ++i) rows.push_back(i);
    float* logits = stage.head.logits(y, rows);
    stage.loss += cross_entropy_backward({.logits = logits,
                                          .n = n,
                                          .vocab = stage.vocab,
                                          .targets = std::span(batch.targets).subspan(at, count),
                                          .weight = stage.weight});
    stage.head.backward(logits, dy, nullptr, {});
    linear_backward({.weight = &map.weight, .x = x, .dy = dy, .n = n, .dweight = map.parameter->gradient.as<float>()},
                    backward_);
  }
}

double StateFilters::train(const Network& student, const Network& teacher, const TrainingData& data,
                           Progress& progress) {
  if (choice_.map != StateMap::filters || choice_.filter_steps == 0) return 0;
  std::vector<dim> ours, theirs;
  for (const LayerPair& pair : choice_.pairs) ours.push_back(pair.student), theirs.push_back(pair.teacher);
  Teacher from_student(student, data.longest(), kMostSequences), from_teacher(teacher, data.longest(), kMostSequences);
  ShuffledOrder order(data.sequences.size(), mix64(choice_.seed, 1));
  Stage stage = {Head(teacher), ModelBackward::logit_rows(*teacher.config), teacher.config->vocab};
  progress.begin("filters", choice_.filter_steps);
  for (dim step = 0; step < choice_.filter_steps; ++step) {
    std::vector<const TrainingSequence*> sequences;
    dim predicted = 0;
    for (dim b = 0; b < kBatch; ++b) {
      sequences.push_back(&data.sequences[order.at(step * kBatch + b)]);
      predicted += sequences.back()->count();
    }
    stage.weight = 1 / double(predicted);
    stage.loss = 0;
    for (Parameter& p : parameters_) p.clear_gradient();
    for (const MicroBatch& batch : micro_batches(sequences, kMicroTokens)) {
      from_student.read(batch.sequences, ours);
      from_teacher.read(batch.sequences, theirs);
      for (std::size_t k = 0; k < count_; ++k) {
        next_token_step(stage, batch, *of_student(k), from_student.hidden(k), from_);
        next_token_step(stage, batch, *of_teacher(k), from_teacher.hidden(k), to_);
      }
    }
    stage.loss /= double(parameters_.size());
    if (!std::isfinite(stage.loss)) throw input_error("filters", "expected a finite loss, got another");
    const double rate = choice_.filter_rate * (1 - double(step) / double(choice_.filter_steps));
    for (Parameter& p : parameters_)
      adamw_step({}, {rate, step + 1}, p.values.as<float>(), p.gradient.as<float>(), p.moments);
    progress.advance(1, fmt::format("loss {:.4f}", stage.loss));
  }
  progress.end();
  for (Parameter& p : parameters_) {
    p.moments = Moments(p.size(), false);
    p.clear_gradient();
  }
  return stage.loss;
}

}  // namespace pith
