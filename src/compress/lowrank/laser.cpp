// LASER: single matrices, mostly of late layers, lose most of their rank where that lowers the loss. A greedy search
// from the last layer to the first; what stays full is untouched.
#include <algorithm>
#include <deque>
#include <map>

#include "compress/calibrate/probe.h"
#include "compress/lowrank/factorize.h"
#include "compress/recipe.h"
#include "core/error.h"
#include "formats/format.h"
#include "model/factored.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

class Search {
 public:
  Search(const ReshapeTask& task, const Options& options)
      : task_(task),
        model_(task.model),
        options_(options),
        blocks_(model_.blocks().begin(), model_.blocks().end()),
        tokens_(first_part(task.tokens())),
        probe_(model_, tokens_, dim(options.number("tokens"))) {}

  Model run() {
    const std::vector<std::size_t> tensors = candidates();
    const double before = measure();
    double best = before;
    task_.progress.begin("laser", dim(tensors.size()));
    for (const std::size_t i : tensors) {
      best = try_matrix(i, best);
      task_.progress.advance(1, fmt::format("loss {:.4f}, {} matrices cut", best, cuts_.size()));
    }
    if (cuts_.empty())
      throw Error(Blame::input, "laser",
                  fmt::format("expected a matrix whose loss of rank lowers the loss of {:.4f}, found "
                              "none",
                              before),
                  "more tokens, a smaller margin, or other ranks");
    auto scratch = std::make_shared<Scratch>();
    std::vector<Factors> factors;
    for (const auto& [i, cut] : cuts_)
      factors.push_back({i, cut.rank, keep_values(*scratch, cut.b), keep_values(*scratch, cut.a)});
    return factored_model(model_, std::move(factors), scratch);
  }

 private:
  // The tokens that the search may look at are a fifth of all, as in the paper: the others are for whoever wants to
  // know whether it holds.
  static CalibrationTokens first_part(const CalibrationTokens& all) {
    CalibrationTokens out = all;
    out.sequences.resize(std::max<std::size_t>(1, all.sequences.size() / 5));
    return out;
  }

  std::vector<std::size_t> candidates() const {
    const Selection where = parse_selection(options_.text("where"));
    std::vector<std::size_t> out;
    for (std::size_t i = model_.tensors().size(); i-- > 0;) {
      const ModelTensor& t = model_.tensors()[i];
      if (t.layer >= 0 && is_linear_matrix(t) && where.has(t) && cannot_factor(model_, t).empty()) out.push_back(i);
    }
    if (out.empty()) throw input_error("where", "expected matrices of the model, none is chosen");
    return out;
  }

  Linear& linear(std::size_t i) {
    const ModelTensor& t = model_.tensors()[i];
    return *find_linear(blocks_[std::size_t(t.layer)], t.role, t.expert);
  }

  double measure() {
    Network network = Network::of(model_);
    network.blocks = blocks_;
    return probe_.measure(network).nll;
  }

  static Weight view(const std::vector<float>& values, dim rows, dim cols) {
    Encoded e;
    e.format = &f32_format();
    e.rows = rows;
    e.cols = cols;
    e.data = reinterpret_cast<const std::byte*>(values.data());
    return e;
  }

  // The best rank of one matrix, if any lowers the loss by the margin; the loss that is left.
  double try_matrix(std::size_t i, double best) {
    const ModelTensor& t = model_.tensors()[i];
    const std::vector<float> w = decoded(t);
    const WeightedSvd svd(w.data(), t.weight.rows, t.weight.cols, {});
    const Linear before = linear(i);
    std::optional<LowRank> chosen;
    for (const double share : {0.5, 0.25, 0.1}) {
      const dim most = std::min(t.weight.rows, t.weight.cols);
      const dim multiple = std::min(most, dim(options_.number("multiple")));
      const dim rank = std::max<dim>(1, dim(share * double(most)) / multiple) * multiple;
      if (rank * (t.weight.rows + t.weight.cols) >= t.weight.rows * t.weight.cols) continue;
      const LowRank factors = svd.factors(rank);
      const Weight outer = view(factors.b, t.weight.rows, rank), inner = view(factors.a, rank, t.weight.cols);
      linear(i).weight = &outer;
      linear(i).inner = &inner;
      const double loss = measure();
      linear(i) = before;
      if (loss >= best - options_.number("margin")) continue;
      best = loss;
      chosen = factors;
    }
    if (!chosen) return best;
    const LowRank& kept = cuts_[i] = std::move(*chosen);
    linear(i).weight = &views_.emplace_back(view(kept.b, t.weight.rows, kept.rank));
    linear(i).inner = &views_.emplace_back(view(kept.a, kept.rank, t.weight.cols));
    return best;
  }

  const ReshapeTask& task_;
  const Model& model_;
  const Options& options_;
  std::vector<Block> blocks_;  // as cut so far
  CalibrationTokens tokens_;
  Probe probe_;
  std::map<std::size_t, LowRank> cuts_;
  std::deque<Weight> views_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out;
  for (OptionSpec& o : factorize_options(false))
    if (o.name == "multiple" || o.name == "where") out.push_back(o);
  for (OptionSpec& o : out)
    if (o.name == "where") o.default_value = "ffn_up|ffn_down";
  out.push_back({.name = "tokens",
                 .default_value = "1024",
                 .help = "that the loss is measured on, from the first fifth of the calibration text",
                 .choices = {},
                 .low = 16,
                 .high = 65536});
  out.push_back({.name = "margin",
                 .default_value = "0.001",
                 .help = "nats per token by which a cut must lower the loss",
                 .choices = {},
                 .low = 0,
                 .high = 1});
  return out;
}

}  // namespace

extern const Method laser_method;
const Method laser_method{
    .name = "laser",
    .family = "low rank",
    .summary = "takes most of the rank of single matrices, those whose loss makes the model better, by a greedy search",
    .paper = "LASER (arXiv:2312.13558)",
    .options = options(),
    .needs = Needs::text,
    .reshape = [](const ReshapeTask& task, const Options& options) { return Search(task, options).run(); },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
