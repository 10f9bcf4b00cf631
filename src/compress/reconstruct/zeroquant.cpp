// ZeroQuant's layer-by-layer distillation: behind the codes of a block stand weights in full precision, which follow
// the gradient that their rounded values get (straight through the rounding), and are rounded anew after each step.
// Works on any format.
#include <algorithm>
#include <cmath>
#include <list>

#include "compress/reconstruct/adam.h"
#include "compress/reconstruct/block_trainer.h"
#include "compress/reconstruct/options.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"

namespace pith {

namespace {

constexpr dim kRowsOfAThread = 4;

class DistilledMatrix {
 public:
  DistilledMatrix(BlockMatrix& matrix, Linear& linear, Gradient& gradient)
      : matrix_(matrix),
        bytes_(row_bytes(*matrix.format, matrix.cols)),
        values_(std::size_t(matrix.rows * matrix.cols)),
        gradient_(values_.size(), 0.0f),
        moments_(values_.size()) {
    parallel_for(
        matrix.rows, [&](dim r) { matrix_.load(r, values_.data() + r * matrix_.cols); }, kRowsOfAThread);
    double squares = 0;
    for (const float v : values_) squares += double(v) * double(v);
    unit_ = std::sqrt(squares / double(std::max<std::size_t>(1, values_.size())));
    Encoded rounded;
    rounded.format = matrix.format;
    rounded.rows = matrix.rows;
    rounded.cols = matrix.cols;
    rounded.owned = Buffer(matrix.rows * bytes_);
    rounded.data = rounded.owned.data();
    std::copy_n(matrix.encoded, matrix.rows * bytes_, rounded.owned.data());
    weight_ = std::move(rounded);
    linear.weight = &weight_;
    gradient.weight = gradient_.data();
  }
  DistilledMatrix(const DistilledMatrix&) = delete;
  DistilledMatrix& operator=(const DistilledMatrix&) = delete;

  void step(AdamStep adam) {
    adam.rate *= unit_;
    std::byte* to = std::get<Encoded>(weight_).owned.data();
    parallel_for(
        matrix_.rows,
        [&](dim r) {
          for (dim i = r * matrix_.cols; i < (r + 1) * matrix_.cols; ++i) {
            values_[std::size_t(i)] += adam_move(moments_[std::size_t(i)], gradient_[std::size_t(i)], adam);
            gradient_[std::size_t(i)] = 0;
          }
          matrix_.format->encode(*matrix_.format, values_.data() + r * matrix_.cols, nullptr, matrix_.cols, {},
                                 to + r * bytes_);
        },
        kRowsOfAThread);
  }
  void keep() { std::copy_n(std::get<Encoded>(weight_).owned.data(), matrix_.rows * bytes_, matrix_.encoded); }

 private:
  BlockMatrix& matrix_;
  dim bytes_;
  double unit_ = 0;  // the root of the mean square
  std::vector<float> values_, gradient_;
  std::vector<AdamMoments> moments_;
  Weight weight_;
};

void zeroquant_block(BlockTask& task, const Options& options) {
  constexpr dim kChecks = 5;
  const dim iterations = dim(options.number("iterations"));
  const double rate = options.number("rate");
  BlockTrainer trainer(task, dim(options.number("batch")), mean_square_loss);
  const double first = trainer.check();
  double best = first;
  std::list<DistilledMatrix> matrices;
  BlockGradients wanted;
  for (BlockMatrix& m : task.matrices) {
    Gradient* gradient = find_gradient(wanted, m.role);
    Linear* linear = find_linear(*task.block, m.role);
    if (gradient && linear) matrices.emplace_back(m, *linear, *gradient);
  }
  const std::string doing = fmt::format("distilling block {}", task.layer);
  for (dim i = 0; i < iterations && !matrices.empty(); ++i) {
    if (!std::isfinite(trainer.step(i, wanted))) break;  // what was best stays
    const double left = 1 - double(i) / double(iterations);
    for (DistilledMatrix& m : matrices) m.step({.rate = rate * left, .number = i + 1});
    if (task.progress) task.progress->advance(0, doing);
    if ((i + 1) * kChecks / iterations == i * kChecks / iterations) continue;
    const double loss = trainer.check();
    if (!(loss < best)) continue;
    best = loss;
    for (DistilledMatrix& m : matrices) m.keep();
  }
  task.note = fmt::format("block error {:.4g}, rounded alone {:.4g}", best, first);
}

}  // namespace

extern const Method zeroquant_method;
const Method zeroquant_method{
    .name = "zeroquant",
    .family = "quantization",
    .summary = "trains, block by block, the weights behind the codes and rounds them anew; on any format",
    .paper = "ZeroQuant (arXiv:2206.01861), its layer-by-layer knowledge distillation",
    .options =
        {
            iterations_option("100"),
            batch_option(),
            {.name = "rate",
             .default_value = "0.01",
             .help = "of Adam's first step, in root mean squares of the matrix; it falls to 0",
             .choices = {},
             .low = 0,
             .high = 1},
        },
    .needs = Needs::text,
    .block = zeroquant_block,
};

}  // namespace pith
