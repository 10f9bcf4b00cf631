// Channel permutation for N:M pruning: columns that matter are spread over the groups. The order of a matrix' columns
// is the order of what makes its input, so that nothing moves while the model runs: neurons and the values of heads
// block by block; channels of the residual stream in one order for the whole model, which all its readers share.
#include "compress/calibrate/stats_collector.h"
#include "compress/prune/channel_groups.h"
#include "compress/prune/ria_scores.h"
#include "compress/structured/walk.h"
#include "core/error.h"
#include "model/surgery.h"

namespace pith {

namespace {

// What of a kind of columns would stay by their scores, in their order and in the new one.
struct Gain {
  double all = 0, before = 0, after = 0;
};

class Permuter {
 public:
  Permuter(const ReshapeTask& task, const Options& options)
      : model_(task.model),
        config_(task.model.config()),
        progress_(task.progress),
        rounds_(int(options.number("rounds"))),
        most_rows_(dim(options.number("rows"))),
        by_(options.text("score")),
        power_(options.number("power")),
        surgery_(whole(config_)) {
    const Pruning pattern = pattern_of(options);
    if (!pattern.pattern())
      throw Error(Blame::input, "permute", "expected a pattern N:M, got none",
                  "without groups it does not matter which columns stand together");
    pattern_ = {pattern.keep, pattern.of};
    walk_blocks(model_, task.tokens(), "inputs", "what matrices read", progress_, stats_);
  }

  Surgery run() {
    progress_.begin("permutation", config_.layers + 1);
    for (dim layer = 0; layer < config_.layers; ++layer) {
      order_neurons(layer);
      order_values(layer);
      order_expert_neurons(layer);
      progress_.advance(1, "neurons and values");
    }
    order_stream();
    progress_.advance(1, "the residual stream");
    return std::move(surgery_);
  }

 private:
  BlockCut& block(dim layer) { return surgery_.blocks[std::size_t(layer)]; }

  // take(scores): of evenly spaced rows, at most `most`, scores (cols) whose mean is 1.
  void score(const ModelTensor& t, dim most, const std::function<void(std::span<const float> scores)>& take) const {
    const dim rows = t.weight.rows, cols = t.weight.cols, taken = std::max<dim>(1, std::min(rows, most));
    const ScaledMatrix m{.rows = rows,
                         .cols = cols,
                         .format = t.weight.format,
                         .stats = stats_.find(t.role, t.layer, t.expert),
                         .load = [&t](dim row, float* to) { decode_row(t, row, to); },
                         .role = t.role};
    const ScoreRow score_row = by_ == "ria" ? ria_scores(m, power_) : magnitude_scores(input_norms(m));
    std::vector<float> values(static_cast<std::size_t>(cols)), scores(static_cast<std::size_t>(taken * cols));
    double sum = 0;
    for (dim i = 0; i < taken; ++i) {
      const dim row = i * rows / taken;
      m.load(row, values.data());
      score_row(row, values.data(), scores.data() + i * cols);
    }
    if (by_ == "error")
      for (float& s : scores) s *= s;
    for (const float s : scores) sum += double(s);
    const float scale = sum > 0 ? float(double(scores.size()) / sum) : 0.0f;
    for (float& s : scores) s *= scale;
    for (dim i = 0; i < taken; ++i) take(std::span(scores).subspan(std::size_t(i * cols), std::size_t(cols)));
  }

  // The order of the columns of such scores; nothing where their groups are not whole.
  std::vector<dim> ordered(const ColumnScores& scores, Gain& gain) const {
    if (scores.values.empty() || scores.cols % pattern_.of != 0) return {};
    std::vector<dim> present(static_cast<std::size_t>(scores.cols));
    for (std::size_t i = 0; i < present.size(); ++i) present[i] = dim(i);
    std::vector<dim> order = spread_columns(scores, pattern_, rounds_);
    for (const float s : scores.values) gain.all += double(s);
    gain.before += kept_score(scores, present, pattern_);
    gain.after += kept_score(scores, order, pattern_);
    return order;
  }

  static void append_to(std::vector<float>& to, std::span<const float> more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  std::vector<dim> order_of(const ModelTensor& t, Gain& gain) const {
    ColumnScores scores{.cols = t.weight.cols, .values = {}};
    score(t, most_rows_, [&](std::span<const float> row) { append_to(scores.values, row); });
    return ordered(scores, gain);
  }

  void order_neurons(dim layer) {
    const auto of = [&](Role role) {
      const ModelTensor* down = model_.find(role, layer);
      return down ? order_of(*down, neurons_) : std::vector<dim>();
    };
    std::vector<dim> order = of(Role::ffn_down);
    if (!order.empty()) block(layer).neurons = std::move(order);
    block(layer).shared_neurons = of(Role::shared_down);
  }

  void order_expert_neurons(dim layer) {
    for (dim expert = 0; expert < config_.experts; ++expert) {
      const ModelTensor* down = model_.find(Role::expert_down, layer, Part::weight, expert);
      std::vector<dim> order = down ? order_of(*down, neurons_) : std::vector<dim>();
      if (order.empty()) return;
      block(layer).expert_neurons.push_back(std::move(order));
    }
  }

  // A kv head's values are read by all its query heads, each by columns of its own.
  void order_values(dim layer) {
    const ModelTensor* o = model_.find(Role::attn_o, layer);
    if (!o) return;
    const dim width = config_.head_dim, group = config_.heads / config_.kv_heads;
    std::vector<ColumnScores> of_head(std::size_t(config_.kv_heads), ColumnScores{.cols = width, .values = {}});
    score(*o, std::max<dim>(1, most_rows_ / group), [&](std::span<const float> row) {
      for (dim h = 0; h < config_.heads; ++h)
        append_to(of_head[std::size_t(h / group)].values, row.subspan(std::size_t(h * width), std::size_t(width)));
    });
    std::vector<dim> values;
    for (dim kv = 0; kv < config_.kv_heads; ++kv) {
      const std::vector<dim> order = ordered(of_head[std::size_t(kv)], values_);
      if (order.empty()) return;
      for (const dim d : order) values.push_back(kv * width + d);
    }
    block(layer).values = std::move(values);
  }

  void order_stream() {
    std::vector<const ModelTensor*> readers;
    dim rows = 0;
    for (const ModelTensor& t : model_.tensors()) {
      const bool inner = t.role == Role::attn_o || t.role == Role::ffn_down || t.role == Role::expert_down ||
                         t.role == Role::shared_down;
      if (t.part != Part::weight || !is_linear(t.role) || inner) continue;
      readers.push_back(&t);
      rows += t.weight.rows;
    }
    ColumnScores scores{.cols = config_.hidden, .values = {}};
    for (const ModelTensor* t : readers)
      score(*t, rows > most_rows_ ? t->weight.rows * most_rows_ / rows : t->weight.rows,
            [&](std::span<const float> row) { append_to(scores.values, row); });
    std::vector<dim> order = ordered(scores, stream_);
    if (!order.empty()) surgery_.hidden = std::move(order);
    note("channels of the residual stream", stream_);
    note("neurons", neurons_);
    note("values of heads", values_);
  }

  void note(std::string_view what, const Gain& g) {
    surgery_.notes.push_back(
        g.all > 0 ? fmt::format("{}: {}:{} keeps {:.2f} % of their scores, {:.2f} % in their old order", what,
                                pattern_.keep, pattern_.of, 100 * g.after / g.all, 100 * g.before / g.all)
                  : fmt::format("{}: kept in their order, their number is no multiple of {}", what, pattern_.of));
  }

  const Model& model_;
  const Config& config_;
  Progress& progress_;
  const int rounds_;
  const dim most_rows_;
  const std::string by_;
  const double power_;
  GroupPattern pattern_;
  StatsCollector stats_{false};
  Surgery surgery_;
  Gain neurons_, values_, stream_;
};

Model permute_reshape(const ReshapeTask& task, const Options& options) {
  return cut_model(task.model, Permuter(task, options).run());
}

OptionSpec needed_pattern_option() {
  OptionSpec option = pattern_option();
  option.default_value = "2:4";
  return option;
}

}  // namespace

extern const Method permute_method;
const Method permute_method{
    .name = "permute",
    .family = "permutation",
    .summary =
        "before N:M pruning: another order of neurons, values and channels, which spreads over the groups what "
        "matters and changes nothing else",
    .paper = "channel permutation (Zhang et al., Plug-and-Play, ICLR 2024)",
    .options = {needed_pattern_option(),
                {.name = "score",
                 .default_value = "error",
                 .help = "what values count by: ria's score, wanda's, or the error that dropping one alone makes: the "
                         "square of wanda's",
                 .choices = {"ria", "wanda", "error"}},
                ria_power_option(),
                {.name = "rounds",
                 .default_value = "8",
                 .help = "most rounds of exchanges between groups; 0: columns are dealt to the groups by their sums "
                         "and stay there",
                 .choices = {},
                 .low = 0,
                 .high = 1000},
                {.name = "rows",
                 .default_value = "8192",
                 .help = "at most that many rows of what reads the same columns are looked at, evenly spaced",
                 .choices = {},
                 .low = 1,
                 .high = 1e9}},
    .needs = Needs::text,
    .reshape = permute_reshape,
};

}  // namespace pith
