// Whole blocks taken out: those that turn the residual stream least (ShortGPT), or without which the model's answers
// stay nearest to the original's, one after another (as SLEB searches) or all at once (as Shortened LLaMA).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/calibrate/probe.h"
#include "compress/structured/branches.h"
#include "compress/structured/shape.h"
#include "core/error.h"

namespace pith {

namespace {

dim blocks_to_go(const Config& c, const Options& options) {
  const dim named = dim(options.number("layers"));
  const dim count = named > 0 ? named : dim(std::round(options.number("ratio") * double(c.layers)));
  const dim free = c.layers - dim(options.number("first")) - dim(options.number("last"));
  if (count > free || count >= c.layers)
    throw input_error("depth", "expected at most {} blocks to take out of {} (`first` and `last` stay), got {}",
                      std::min(free, c.layers - 1), c.layers, count);
  return count;
}

std::vector<dim> without(const std::vector<dim>& layers, dim gone) {
  std::vector<dim> out;
  for (const dim l : layers)
    if (l != gone) out.push_back(l);
  return out;
}

// A model's blocks in any choice, in views.
class Candidates {
 public:
  Candidates(const Model& model, const CalibrationTokens& tokens, bool by_nll)
      : model_(model), probe_(model, tokens), by_nll_(by_nll) {}

  double cost(const std::vector<dim>& layers) {
    Network network = Network::of(model_);
    Config config = model_.config();
    config.layers = dim(layers.size());
    std::vector<Block> blocks;
    for (const dim l : layers) blocks.push_back(model_.blocks()[std::size_t(l)]);
    network.config = &config;
    network.blocks = blocks;
    const Probe::Result result = probe_.measure(network);
    return by_nll_ ? result.nll : result.kl;
  }

 private:
  const Model& model_;
  Probe probe_;
  bool by_nll_;
};

// Which of `layers` may go, and what each of them costs.
std::vector<std::pair<double, dim>> costs(Candidates& candidates, const std::vector<dim>& layers,
                                          const std::vector<dim>& movable, Progress& progress) {
  std::vector<std::pair<double, dim>> out;
  for (const dim l : layers) {
    if (std::find(movable.begin(), movable.end(), l) == movable.end()) continue;
    out.emplace_back(candidates.cost(without(layers, l)), l);
    progress.advance(1, fmt::format("without block {}", l));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<dim> search(const ReshapeTask& task, const Options& options, const std::vector<dim>& movable, dim count) {
  std::vector<dim> layers = whole(task.model.config()).layers;
  Candidates candidates(task.model, task.tokens(), options.text("score") == "perplexity");
  const bool greedy = options.text("greedy") == "true";
  task.progress.begin("blocks", dim(movable.size()) * (greedy ? count : 1));
  while (count > 0) {
    const auto ranked = costs(candidates, layers, movable, task.progress);
    const dim go = greedy ? 1 : count;
    for (dim i = 0; i < go; ++i) layers = without(layers, ranked[std::size_t(i)].second);
    count -= go;
  }
  return layers;
}

std::vector<dim> least_influence(const ReshapeTask& task, const std::vector<dim>& movable, dim count) {
  const std::vector<BlockView> views = view_blocks(task.model, task.tokens(), task.progress);
  std::vector<std::pair<double, dim>> ranked;
  for (const dim l : movable) ranked.emplace_back(views[std::size_t(l)].influence, l);
  std::sort(ranked.begin(), ranked.end());
  std::vector<dim> layers = whole(task.model.config()).layers;
  for (dim i = 0; i < count; ++i) layers = without(layers, ranked[std::size_t(i)].second);
  return layers;
}

Model depth_reshape(const ReshapeTask& task, const Options& options) {
  const Config& c = task.model.config();
  const dim count = blocks_to_go(c, options);
  std::vector<dim> movable(std::size_t(c.layers - dim(options.number("first")) - dim(options.number("last"))));
  std::iota(movable.begin(), movable.end(), dim(options.number("first")));
  Surgery surgery = whole(c);
  if (count == 0) return cut_model(task.model, surgery);
  const std::string why = cannot_keep_layers(task.model, without(surgery.layers, movable.front()));
  if (!why.empty())  // told before the search
    throw Error(Blame::input, task.model.path().string(), "expected a model that can lose single blocks: " + why,
                "prune neurons or heads instead");
  surgery.layers = options.text("score") == "influence" ? least_influence(task, movable, count)
                                                        : search(task, options, movable, count);
  surgery.blocks.resize(surgery.layers.size());
  return cut_model(task.model, surgery);
}

OptionSpec protected_option(std::string_view name, std::string_view value, std::string_view help) {
  return {.name = name, .default_value = value, .help = help, .choices = {}, .low = 0, .high = 10000};
}

}  // namespace

extern const Method depth_method;
const Method depth_method{
    .name = "depth",
    .family = "structured pruning",
    .summary = "takes out whole blocks: those that change the stream, or the model's answers, least",
    .paper = "ShortGPT (arXiv:2403.03853), Shortened LLaMA (arXiv:2402.02834), SLEB (arXiv:2402.09025)",
    .options = {ratio_option(),
                {.name = "layers",
                 .default_value = "0",
                 .help = "how many blocks go; 0: as the ratio says",
                 .choices = {},
                 .low = 0,
                 .high = 10000},
                {.name = "score",
                 .default_value = "divergence",
                 .help = "what a block is worth: how far it turns the stream; how much more the model's answers "
                         "diverge from the original's, or its perplexity grows, without it",
                 .choices = {"divergence", "perplexity", "influence"}},
                {.name = "greedy",
                 .default_value = "true",
                 .help = "take the blocks out one by one and measure anew each time; not for influence",
                 .choices = {"true", "false"}},
                protected_option("first", "1", "blocks at the start that stay"),
                protected_option("last", "1", "blocks at the end that stay")},
    .needs = Needs::text,
    .reshape = depth_reshape,
};

}  // namespace pith
