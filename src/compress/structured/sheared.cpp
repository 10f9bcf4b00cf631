// Sheared LLaMA: which blocks, heads, neurons and channels a model of a given shape keeps is learned, by masks on all
// of them that the loss of the calibration text decides between, while multipliers close as many as have to go. Weights
// stay as they are; the cut model is to be trained afterwards.
#include <algorithm>
#include <numeric>

#include "compress/structured/hard_concrete.h"
#include "compress/structured/masked_network.h"
#include "compress/structured/shape.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr dim kTapeBytes = dim(512) << 20;

class Shearer {
 public:
  Shearer(const ReshapeTask& task, const ModelShape& shape, const Options& options)
      : model_(task.model),
        config_(task.model.config()),
        shape_(shape),
        steps_(dim(options.number("steps"))),
        batch_(dim(options.number("batch"))),
        rate_(options.number("rate")),
        sequences_(task.tokens().sequences),
        rng_(std::uint64_t(options.number("seed"))),
        network_(task.model, {.hidden = shape.hidden < config_.hidden}),
        layers_(config_.layers, shape.layers),
        hidden_(config_.hidden, shape.hidden),
        heads_(std::size_t(config_.layers), MaskGroup(config_.kv_heads, shape.block.kv_heads)),
        neurons_(std::size_t(config_.layers), MaskGroup(config_.ffn, shape.block.neurons)) {
    std::erase_if(sequences_, [](const auto& s) { return s.size() < 2; });
    if (sequences_.empty()) throw input_error("sheared", "expected samples of two tokens or more");
    batch_ = std::min(batch_, dim(sequences_.size()));
  }

  Surgery run(Progress& progress) {
    std::size_t longest = 0;
    for (const auto& s : sequences_) longest = std::max(longest, s.size());
    const dim tape = BlockBackward::slot_bytes(config_, dim(longest) * batch_);
    network_.publish(masks());
    ModelBackward backward(network_.network(), dim(longest), batch_, kTapeBytes / std::max<dim>(1, tape));
    progress.begin("masks", steps_);
    double mean = 0;
    for (dim number = 1; number <= steps_; ++number) {
      each_group([&](MaskGroup& g) { g.draw(rng_); });
      NetworkMasks now = masks();
      network_.publish(now);
      const double loss = backward.run(
          next_batch(), network_.outer(), [&](dim layer) { return network_.wanted(layer); },
          [&](dim layer) { network_.done(layer, now); });
      network_.done_all(now);
      // As the masks open and close at random, so does the loss.
      mean = number == 1 ? loss : 0.9 * mean + 0.1 * loss;
      const double way = std::min(1.0, double(number) / (kWarmup * double(steps_)));
      each_group([&](MaskGroup& g) { g.step(rate_, number, way); });
      progress.advance(1, fmt::format("loss {:.3f}, {:.1f} % open", mean, 100 * open_share()));
    }
    return surgery(mean);
  }

 private:
  static constexpr double kWarmup = 0.4;  // of the steps, in which the shape is approached

  template <class Each>
  void each_group(const Each& each) {
    each(layers_);
    each(hidden_);
    for (MaskGroup& g : heads_) each(g);
    for (MaskGroup& g : neurons_) each(g);
  }

  NetworkMasks masks() {
    const auto row = [](MaskGroup& g) { return MaskRow{g.values(), g.gradient()}; };
    NetworkMasks out{row(layers_), row(hidden_), {}, {}};
    for (MaskGroup& g : heads_) out.heads.push_back(row(g));
    for (MaskGroup& g : neurons_) out.neurons.push_back(row(g));
    return out;
  }

  // Of the masks that are learned.
  double open_share() {
    double open = 0, all = 0;
    each_group([&](MaskGroup& g) {
      if (!g.learned()) return;
      open += g.open_share() * double(g.values().size());
      all += double(g.values().size());
    });
    return all > 0 ? open / all : 1;
  }

  // The text's samples in a new order each time they are through.
  std::vector<std::vector<Token>> next_batch() {
    std::vector<std::vector<Token>> out;
    for (dim i = 0; i < batch_; ++i) {
      if (order_.empty()) {
        order_.resize(sequences_.size());
        std::iota(order_.begin(), order_.end(), std::size_t(0));
        for (std::size_t k = order_.size(); k > 1; --k)
          std::swap(order_[k - 1], order_[std::size_t(rng_.below(dim(k)))]);
      }
      out.push_back(sequences_[order_.back()]);
      order_.pop_back();
    }
    return out;
  }

  static std::vector<double> scores(const MaskGroup& g) { return {g.log_alpha().begin(), g.log_alpha().end()}; }

  Surgery surgery(double loss) {
    Surgery out = keep_highest(model_, shape_.block, [&](dim layer) {
      return BlockScores{scores(heads_[std::size_t(layer)]), scores(neurons_[std::size_t(layer)])};
    });
    if (hidden_.learned()) out.hidden = highest(scores(hidden_), shape_.hidden);
    out.notes.push_back(fmt::format(
        "{} steps of learned masks: {:.1f} % of them are open, {:.1f} % of the structures stay; the loss with "
        "the masks was about {:.3f} nats per token at the end",
        steps_, 100 * open_share(), 100 * kept_share(), loss));
    if (layers_.learned()) keep_layers(out, highest(scores(layers_), shape_.layers));
    return out;
  }

  double kept_share() {
    double kept = 0, all = 0;
    each_group([&](MaskGroup& g) {
      if (!g.learned()) return;
      kept += double(g.keep());
      all += double(g.values().size());
    });
    return all > 0 ? kept / all : 1;
  }

  const Model& model_;
  const Config& config_;
  const ModelShape shape_;
  const dim steps_;
  dim batch_;
  const double rate_;
  std::vector<std::vector<Token>> sequences_;
  std::vector<std::size_t> order_;  // of the samples that are still to come
  Rng rng_;
  MaskedNetwork network_;
  MaskGroup layers_, hidden_;
  std::vector<MaskGroup> heads_, neurons_;  // of each layer
};

// Where a mask would not do what taking the structure out does.
void check(const Model& model, const ModelShape& shape) {
  const Config& c = model.config();
  const auto refuse = [&](const std::string& why) {
    if (!why.empty())
      throw Error(Blame::input, "sheared", "expected a model that can be cut so: " + why,
                  "use depth, flap or minitron");
  };
  const bool all = shape.hidden == c.hidden && shape.layers == c.layers && shape.block.kv_heads == c.kv_heads &&
                   shape.block.neurons == c.ffn;
  if (all)
    throw Error(Blame::input, "sheared", "expected a shape smaller than the model's, got that itself",
                "for example --set neurons=" + std::to_string(c.ffn * 3 / 4));
  if (shape.block.kv_heads < c.kv_heads) refuse(cannot_cut_heads(model));
  if (c.experts > 0) refuse("its feed-forward networks are mixtures of experts");
  if (shape.hidden < c.hidden) refuse(cannot_cut_hidden(model));
  if (shape.layers == c.layers && shape.hidden == c.hidden) return;
  const Block& b = model.blocks().front();
  if (b.o.bias || b.down.bias) refuse("its branches end in biases, which have no mask");
  if (b.attn_post_norm.weight || b.ffn_post_norm.weight) refuse("norms after its branches undo what a mask does");
}

Model sheared_reshape(const ReshapeTask& task, const Options& options) {
  const ModelShape shape = model_shape(task.model.config(), "sheared", options);
  check(task.model, shape);
  return cut_model(task.model, Shearer(task, shape, options).run(task.progress));
}

std::vector<OptionSpec> sheared_options() {
  std::vector<OptionSpec> out = model_shape_options();
  const auto number = [&](std::string_view name, std::string_view value, std::string_view help, double low,
                          double high) {
    out.push_back({.name = name, .default_value = value, .help = help, .choices = {}, .low = low, .high = high});
  };
  number("steps", "200", "of learning; a good part of them goes by before the masks have the shape", 1, 1e6);
  number("batch", "4", "samples of the text in a step", 1, 64);
  number("rate", "0.1", "of masks and multipliers", 1e-6, 10);
  number("seed", "0", "draws masks and the order of samples", 0, 1e9);
  return out;
}

}  // namespace

extern const Method sheared_method;
const Method sheared_method{
    .name = "sheared",
    .family = "structured pruning",
    .summary = "a model of a given shape: masks learn on the loss what of it stays; to be trained afterwards",
    .paper = "Sheared LLaMA (arXiv:2310.06694)",
    .options = sheared_options(),
    .needs = Needs::text,
    .reshape = sheared_reshape,
};

}  // namespace pith
