// Experts of a mixture that say alike become one, the average of their weights by how often tokens are sent to each
// (M-SMoE: neurons are matched first; HC-SMoE: groups by hierarchical clustering of what experts give). The router
// keeps one row for each group.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/method.h"
#include "compress/structured/expert_groups.h"
#include "compress/structured/walk.h"
#include "core/error.h"
#include "math/matrix_product.h"
#include "model/forward_layers.h"
#include "model/surgery.h"
#include "ops/gate.h"
#include "ops/linear.h"

namespace pith {

namespace {

// Of each layer: what some of the tokens show the router, and how many tokens are sent to each expert.
class RouterView : public LinearObserver {
 public:
  struct Layer {
    dim seen = 0;
    std::vector<float> x;     // (tokens, hidden)
    std::vector<double> use;  // (experts)
  };
  RouterView(const Config& c, dim tokens, dim sampled)
      : layers(std::size_t(c.layers), Layer{0, {}, std::vector<double>(std::size_t(c.experts))}),
        tokens_(tokens),
        sampled_(std::min(tokens, sampled)) {}

  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override {
    if (role != Role::router) return;
    Layer& l = layers[std::size_t(layer)];
    for (dim r = 0; r < rows; ++r, ++l.seen)
      if ((l.seen + 1) * sampled_ / tokens_ > l.seen * sampled_ / tokens_)
        l.x.insert(l.x.end(), x + r * cols, x + (r + 1) * cols);
  }
  void expert_input(Role role, dim layer, dim expert, const float*, dim rows, dim) override {
    if (role == Role::expert_down) layers[std::size_t(layer)].use[std::size_t(expert)] += double(rows);
  }

  std::vector<Layer> layers;

 private:
  dim tokens_, sampled_;
};

class Merger {
 public:
  Merger(const ReshapeTask& task, const Options& options)
      : model_(task.model),
        config_(task.model.config()),
        keep_(dim(options.number("keep"))),
        by_(options.text("similarity")),
        align_(options.text("align") == "true"),
        mass_(options.text("router") == "mass") {
    if (config_.experts == 0) throw input_error("merge_experts", "expected a mixture of experts, got a model without");
    if (keep_ > config_.experts || keep_ < config_.experts_used)
      throw input_error("merge_experts", "keep: expected {} (as many as a token uses) to {}, got {}",
                        config_.experts_used, config_.experts, keep_);
  }

  BlockCut merge(dim layer, const RouterView::Layer& view) {
    layer_ = layer;
    n_ = dim(view.x.size()) / config_.hidden;
    x_ = view.x.data();
    router_ = logits();
    BlockCut out = whole_block(config_);
    out.experts.clear();
    const auto groups = cluster(distances(), config_.experts, keep_);
    for (const std::vector<dim>& group : groups) {
      const dim leader = *std::max_element(group.begin(), group.end(), [&](dim a, dim b) {
        return view.use[std::size_t(a)] < view.use[std::size_t(b)];
      });
      std::vector<ExpertShare> shares = shares_of(group, leader, view.use);
      // Experts stay in ascending order, those of other groups among them.
      const auto at = std::lower_bound(out.experts.begin(), out.experts.end(), leader) - out.experts.begin();
      const std::vector<float> row = router_row(shares);
      out.router.insert(out.router.begin() + at * config_.hidden, row.begin(), row.end());
      out.merged.insert(out.merged.begin() + at, std::move(shares));
      out.experts.insert(out.experts.begin() + at, leader);
    }
    return out;
  }

 private:
  std::vector<float> product(const Linear& l, const float* x) const {
    std::vector<float> y(std::size_t(n_ * rows_of(l)));
    LinearWorkspace workspace;
    linear({.weight = l.weight, .bias = l.bias, .x = x, .n = n_, .y = y.data(), .y_stride = rows_of(l)}, workspace);
    return y;
  }

  // (tokens, experts)
  std::vector<float> logits() const { return product(model_.blocks()[std::size_t(layer_)].router, x_); }

  // What an expert gives for all tokens, (tokens, hidden).
  std::vector<float> answers(dim expert) const {
    const Expert& e = model_.blocks()[std::size_t(layer_)].experts[std::size_t(expert)];
    std::vector<float> up = product(e.up, x_), gate = config_.gated ? product(e.gate, x_) : std::vector<float>();
    gate_rows({.kind = activation_kernel(config_.activation),
               .gate = config_.gated ? gate.data() : up.data(),
               .up = config_.gated ? up.data() : nullptr,
               .n = n_,
               .cols = config_.expert_ffn,
               .stride = config_.expert_ffn,
               .out = up.data()});
    return product(e.down, up.data());
  }

  // What stands for each expert when two are compared: its answers, or how much the router sends to it.
  std::vector<std::vector<float>> features() const {
    std::vector<std::vector<float>> out;
    for (dim e = 0; e < config_.experts; ++e) {
      if (by_ == "output") {
        out.push_back(answers(e));
        continue;
      }
      std::vector<float> column;
      for (dim i = 0; i < n_; ++i) column.push_back(router_[std::size_t(i * config_.experts + e)]);
      out.push_back(std::move(column));
    }
    return out;
  }

  // Squared distance of two experts' features; of the router's logits 1 - their correlation.
  std::vector<double> distances() const {
    const std::vector<std::vector<float>> all = features();
    const dim n = config_.experts;
    std::vector<double> out(static_cast<std::size_t>(n * n));
    for (dim a = 0; a < n; ++a)
      for (dim b = a + 1; b < n; ++b)
        out[std::size_t(a * n + b)] = out[std::size_t(b * n + a)] =
            by_ == "output" ? squared_distance(all[std::size_t(a)], all[std::size_t(b)])
                            : 1 - correlation(all[std::size_t(a)], all[std::size_t(b)]);
    return out;
  }

  static double squared_distance(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
    return sum;
  }

  static double correlation(const std::vector<float>& a, const std::vector<float>& b) {
    const double n = double(a.size());
    const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
                 mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double u = double(a[i]) - mean_a, v = double(b[i]) - mean_b;
      ab += u * v, aa += u * u, bb += v * v;
    }
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 1;
  }

  std::vector<ExpertShare> shares_of(const std::vector<dim>& group, dim leader, const std::vector<double>& use) const {
    double all = 0;
    for (const dim e : group) all += use[std::size_t(e)];
    std::vector<ExpertShare> out;
    for (const dim e : group) {
      ExpertShare s{e, all > 0 ? use[std::size_t(e)] / all : 1 / double(group.size()), {}};
      s.neurons.resize(std::size_t(config_.expert_ffn));
      std::iota(s.neurons.begin(), s.neurons.end(), dim(0));
      if (align_ && e != leader) s.neurons = matched_neurons(model_, layer_, leader, e);
      out.push_back(std::move(s));
    }
    return out;
  }

  // The members' rows, averaged; and with `mass`, what brings that nearest to the logarithm of their summed odds, by
  // ridge regression on the tokens: with X (tokens, hidden) and what is missing r, X^T (X X^T + d)^-1 r.
  std::vector<float> router_row(const std::vector<ExpertShare>& shares) const {
    const ModelTensor& t = *model_.find(Role::router, layer_);
    std::vector<float> row(std::size_t(config_.hidden));
    std::vector<double> mean(row.size());
    for (const ExpertShare& s : shares) {
      decode_row(t, s.expert, row.data());
      for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += s.share * double(row[c]);
    }
    if (mass_ && shares.size() > 1 && n_ > 0) add_mass(shares, mean);
    std::copy(mean.begin(), mean.end(), row.begin());
    return row;
  }

  void add_mass(const std::vector<ExpertShare>& shares, std::vector<double>& row) const {
    std::vector<double> missing;
    for (dim i = 0; i < n_; ++i) {
      const float* z = router_.data() + i * config_.experts;
      double most = double(z[shares[0].expert]), sum = 0, mean = 0;
      for (const ExpertShare& s : shares) most = std::max(most, double(z[s.expert]));
      for (const ExpertShare& s : shares) {
        sum += std::exp(double(z[s.expert]) - most);
        mean += s.share * double(z[s.expert]);
      }
      missing.push_back(most + std::log(sum) - mean);
    }
    const std::vector<double> x(x_, x_ + n_ * config_.hidden);
    std::vector<double> gram(std::size_t(n_ * n_));
    matrix_product(x.data(), Turned::no, x.data(), Turned::yes, n_, n_, config_.hidden, gram.data());
    double trace = 0;
    for (dim i = 0; i < n_; ++i) trace += gram[std::size_t(i * n_ + i)];
    for (dim i = 0; i < n_; ++i) gram[std::size_t(i * n_ + i)] += 0.01 * trace / double(n_);
    if (!(trace > 0) || !solve_positive(gram.data(), n_, missing.data(), 1)) return;
    for (dim i = 0; i < n_; ++i)
      for (std::size_t c = 0; c < row.size(); ++c)
        row[c] += missing[std::size_t(i)] * x[std::size_t(i) * row.size() + c];
  }

  const Model& model_;
  const Config& config_;
  const dim keep_;
  const std::string by_;
  const bool align_, mass_;
  dim layer_ = 0, n_ = 0;
  const float* x_ = nullptr;   // (n_, hidden) of the layer
  std::vector<float> router_;  // (n_, experts) its logits
};

Model merge_experts_reshape(const ReshapeTask& task, const Options& options) {
  const Config& c = task.model.config();
  Merger merger(task, options);
  const CalibrationTokens& tokens = task.tokens();
  RouterView view(c, tokens.count(), dim(options.number("tokens")));
  walk_blocks(task.model, tokens, "experts", "who is asked", task.progress, view);
  task.progress.begin("merging", c.layers);
  Surgery surgery = whole(c);
  for (dim layer = 0; layer < c.layers; ++layer) {
    surgery.blocks[std::size_t(layer)] = merger.merge(layer, view.layers[std::size_t(layer)]);
    task.progress.advance(1, "experts");
  }
  return cut_model(task.model, surgery);
}

}  // namespace

extern const Method merge_experts_method;
const Method merge_experts_method{
    .name = "merge_experts",
    .family = "structured pruning",
    .summary = "averages the experts of a mixture that say alike, by how often each is asked",
    .paper = "M-SMoE (arXiv:2310.01334), HC-SMoE (arXiv:2410.08589)",
    .options = {{.name = "keep",
                 .default_value = "4",
                 .help = "experts of each layer that are left",
                 .choices = {},
                 .low = 1,
                 .high = 65536},
                {.name = "similarity",
                 .default_value = "output",
                 .help = "what experts are grouped by: what they give for the same tokens, or whether the router likes "
                         "them for the same tokens",
                 .choices = {"output", "router"}},
                {.name = "align",
                 .default_value = "true",
                 .help = "match the neurons of a group's experts before they are averaged; the time grows with the "
                         "cube of an expert's width",
                 .choices = {"true", "false"}},
                {.name = "router",
                 .default_value = "mass",
                 .help = "the row of a group: the average of its experts' rows, or that moved until its odds come "
                         "near the sum of theirs",
                 .choices = {"mass", "mean"}},
                {.name = "tokens",
                 .default_value = "512",
                 .help = "that experts are compared on",
                 .choices = {},
                 .low = 2,
                 .high = 65536}},
    .needs = Needs::text,
    .reshape = merge_experts_reshape,
};

}  // namespace pith
