// Norm Tweaking: codes and ranges stay; the weights of a block's norms are learned until the means and variances of
// its output's channels are the original's again.
#include <algorithm>
#include <cmath>

#include "compress/reconstruct/adam.h"
#include "compress/reconstruct/block_trainer.h"
#include "compress/reconstruct/options.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

struct Place {
  Norm Block::*norm;
  Gradient BlockGradients::*gradient;
};
constexpr Place kPlaces[] = {
    {&Block::attn_norm, &BlockGradients::attn_norm},
    {&Block::ffn_norm, &BlockGradients::ffn_norm},
    {&Block::attn_post_norm, &BlockGradients::attn_post_norm},
    {&Block::ffn_post_norm, &BlockGradients::ffn_post_norm},
    {&Block::q_norm, &BlockGradients::q_norm},
    {&Block::k_norm, &BlockGradients::k_norm},
};

// Of a channel over all rows.
struct Moments {
  double mean = 0, variance = 0;
  Moments(const float* x, dim rows, dim stride) {
    for (dim r = 0; r < rows; ++r) mean += double(x[r * stride]);
    mean /= double(rows);
    for (dim r = 0; r < rows; ++r) variance += std::pow(double(x[r * stride]) - mean, 2);
    variance /= double(rows);
  }
};

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

// The mean over channels of |difference of means| + |difference of variances|.
double channel_loss(const float* outputs, const float* targets, dim rows, dim cols, float* gradient) {
  std::vector<double> of_channel(static_cast<std::size_t>(cols));
  parallel_for(
      cols,
      [&](dim c) {
        const Moments got(outputs + c, rows, cols), wanted(targets + c, rows, cols);
        const double mean = got.mean - wanted.mean, variance = got.variance - wanted.variance;
        of_channel[std::size_t(c)] = std::fabs(mean) + std::fabs(variance);
        if (!gradient) return;
        const double share = 1 / double(rows * cols);
        for (dim r = 0; r < rows; ++r)
          gradient[r * cols + c] =
              float(share * (sign(mean) + 2 * sign(variance) * (double(outputs[r * cols + c]) - got.mean)));
      },
      8);
  double sum = 0;
  for (const double v : of_channel) sum += v;
  return sum / double(cols);
}

// A norm whose weights are learned as factors of what they were.
struct LearnedNorm {
  BlockNorm* norm;
  Norm* place;  // in the block
  std::vector<float> factors, weights, gradient;
  std::vector<AdamMoments> moments;

  LearnedNorm(BlockNorm& of, Norm& in_block)
      : norm(&of),
        place(&in_block),
        factors(of.values.size(), 1.0f),
        weights(of.values.begin(), of.values.end()),
        gradient(factors.size(), 0.0f),
        moments(factors.size()) {}

  void step(const AdamStep& adam, float offset) {
    for (std::size_t c = 0; c < factors.size(); ++c) {
      const float whole = norm->values[c] + offset;
      factors[c] += adam_move(moments[c], gradient[c] * whole, adam);
      weights[c] = whole * factors[c] - offset;
      gradient[c] = 0;
    }
  }
};

class Tweaker {
 public:
  Tweaker(BlockTask& task, const Options& options)
      : task_(task),
        iterations_(dim(options.number("iterations"))),
        rate_(options.number("rate")),
        trainer_(task, dim(options.number("batch")),
                 options.text("loss") == "channels" ? channel_loss : mean_square_loss),
        offset_(task.network.config->norm_plus_one ? 1.0f : 0.0f) {
    norms_.reserve(task.norms.size());
    for (BlockNorm& n : task.norms) add(n);
    for (LearnedNorm& n : norms_) n.place->weight = n.weights.data();
  }

  void run() {
    constexpr dim kChecks = 5;
    const double first = trainer_.check();
    double best = first;
    for (dim i = 0; i < iterations_ && !norms_.empty(); ++i) {
      if (!std::isfinite(trainer_.step(i, wanted_))) break;
      const double left = 1 - double(i) / double(iterations_);
      for (LearnedNorm& n : norms_) n.step({.rate = rate_ * left, .number = i + 1}, offset_);
      if (task_.progress) task_.progress->advance(0, doing_);
      if ((i + 1) * kChecks / iterations_ == i * kChecks / iterations_) continue;
      const double loss = trainer_.check();
      if (!(loss < best)) continue;
      best = loss;
      for (LearnedNorm& n : norms_) n.norm->factors = n.factors;
    }
    task_.note = fmt::format("channels of the block's output {:.4g} apart, before {:.4g}", best, first);
  }

 private:
  void add(BlockNorm& n) {
    for (const Place& place : kPlaces) {
      Norm& in_block = task_.block->*place.norm;
      if (&in_block != n.norm) continue;
      LearnedNorm& learned = norms_.emplace_back(n, in_block);
      (wanted_.*place.gradient).weight = learned.gradient.data();
    }
  }

  BlockTask& task_;
  dim iterations_;
  double rate_;
  BlockTrainer trainer_;
  float offset_;  // of norms that are stored as w - 1
  std::vector<LearnedNorm> norms_;
  BlockGradients wanted_;
  std::string doing_ = fmt::format("tweaking norms of block {}", task_.layer);
};

void norm_tweaking_block(BlockTask& task, const Options& options) { Tweaker(task, options).run(); }

}  // namespace

extern const Method norm_tweaking_method;
const Method norm_tweaking_method{
    .name = "norm_tweaking",
    .family = "quantization",
    .summary = "learns, block by block, the norms' weights alone, until the output's channels are spread as they were",
    .paper = "Norm Tweaking (arXiv:2309.02784)",
    .options =
        {
            iterations_option("100"),
            batch_option(),
            {.name = "rate",
             .default_value = "0.001",
             .help = "of Adam's first step, on factors of the norms' weights; it falls to 0",
             .choices = {},
             .low = 0,
             .high = 1},
            {.name = "loss",
             .default_value = "channels",
             .help = "what is lessened: differences of the channels' means and variances, or of the outputs, squared",
             .choices = {"channels", "outputs"}},
        },
    .needs = Needs::text,
    .block = norm_tweaking_block,
};

}  // namespace pith
