#include "compress/reconstruct/block_trainer.h"

#include <algorithm>
#include <numeric>

#include "core/parallel.h"
#include "core/rng.h"

namespace pith {

namespace {

constexpr dim kChecked = 16;  // samples, at most

dim longest(std::span<const dim> lengths) { return *std::max_element(lengths.begin(), lengths.end()); }

float* values(Buffer& buffer, dim count) {
  buffer.reserve(count * dim(sizeof(float)));
  return buffer.as<float>();
}

}  // namespace

double mean_square_loss(const float* outputs, const float* targets, dim rows, dim cols, float* gradient) {
  std::vector<double> of_row(static_cast<std::size_t>(rows));
  const float scale = float(2 / double(rows * cols));
  parallel_for(
      rows,
      [&](dim r) {
        double sum = 0;
        for (dim c = r * cols; c < (r + 1) * cols; ++c) {
          const float d = outputs[c] - targets[c];
          sum += double(d) * double(d);
          if (gradient) gradient[c] = d * scale;
        }
        of_row[std::size_t(r)] = sum;
      },
      16);
  return std::accumulate(of_row.begin(), of_row.end(), 0.0) / double(rows * cols);
}

BlockTrainer::BlockTrainer(BlockTask& task, dim batch, OutputLoss loss)
    : task_(task),
      batch_(std::min<dim>(batch, dim(task.lengths.size()))),
      hidden_size_(task.network.config->hidden),
      loss_(loss),
      block_(task.network, longest(task.lengths), batch_) {}

double BlockTrainer::run(std::span<const std::size_t> samples, const BlockGradients* wanted) {
  std::vector<dim> lengths;
  dim rows = 0;
  for (const std::size_t s : samples) {
    lengths.push_back(task_.lengths[s]);
    rows += lengths.back();
  }
  float *hidden = values(hidden_, rows * hidden_size_), *targets = values(targets_, rows * hidden_size_);
  dim at = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    task_.input(samples[i], hidden + at * hidden_size_);
    task_.target(samples[i], targets + at * hidden_size_);
    at += lengths[i];
  }
  block_.forward(task_.layer, hidden, lengths);
  float* gradient = wanted ? values(gradient_, rows * hidden_size_) : nullptr;
  const double loss = loss_(hidden, targets, rows, hidden_size_, gradient);
  if (wanted) block_.backward(gradient, *wanted);
  return loss;
}

double BlockTrainer::check() {
  const dim all = dim(task_.lengths.size()), count = std::min(all, kChecked);
  std::vector<std::size_t> samples;
  double sum = 0;
  dim runs = 0;
  for (dim i = 0; i < count; ++i) {
    samples.push_back(std::size_t(i * all / count));
    if (dim(samples.size()) < batch_ && i + 1 < count) continue;
    sum += run(samples, nullptr) * double(samples.size());
    runs += dim(samples.size());
    samples.clear();
  }
  return sum / double(runs);
}

double BlockTrainer::step(dim number, const BlockGradients& wanted) {
  Rng rng(mix64(task_.seed, std::uint64_t(task_.layer)) + std::uint64_t(number) * 0x9e3779b9u);
  std::vector<std::size_t> order(task_.lengths.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  for (dim i = 0; i < batch_; ++i) {  // the first of a random order
    const dim other = i + rng.below(dim(order.size()) - i);
    std::swap(order[std::size_t(i)], order[std::size_t(other)]);
  }
  return run(std::span(order).first(std::size_t(batch_)), &wanted);
}

}  // namespace pith
