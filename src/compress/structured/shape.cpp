#include "compress/structured/shape.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace pith {

OptionSpec ratio_option() {
  return {.name = "ratio",
          .default_value = "0.2",
          .help = "of the weights of every block that are taken out",
          .choices = {},
          .low = 0,
          .high = 0.95};
}

OptionSpec heads_option() {
  return {
      .name = "heads",
      .default_value = "-1",
      .help = "kv heads, with their query heads, that every block loses; -1: as many whole ones as the ratio of them",
      .choices = {},
      .low = -1,
      .high = 65536};
}

OptionSpec multiple_option() {
  return {.name = "multiple",
          .default_value = "32",
          .help = "what the number of neurons left is a multiple of, so that formats with blocks fit",
          .choices = {},
          .low = 1,
          .high = 4096};
}

BlockShape block_shape(const Model& model, const Options& options) {
  const Config& c = model.config();
  const double ratio = options.number("ratio");
  const auto refuse = [&](const std::string& what) {
    return input_error(model.path().string(), "expected a block with {}", what);
  };
  dim lost = dim(options.number("heads"));
  if (lost < 0) lost = cannot_cut_heads(model).empty() ? dim(std::floor(ratio * double(c.kv_heads))) : 0;
  if (lost >= c.kv_heads) throw refuse(fmt::format("some of its {} kv heads left, {} were to go", c.kv_heads, lost));
  const double per_kv_head = double(c.hidden * c.head_dim) * (2.0 * double(c.heads) / double(c.kv_heads) + 2.0);
  const double per_neuron = double(c.hidden) * (c.gated ? 3.0 : 2.0);
  const double all = per_kv_head * double(c.kv_heads) + per_neuron * double(c.ffn);
  const double neurons = double(c.ffn) - std::max(0.0, ratio * all - per_kv_head * double(lost)) / per_neuron;
  const dim multiple = dim(options.number("multiple"));
  dim left = dim(std::round(neurons / double(multiple))) * multiple;
  if (neurons >= double(c.ffn)) left = c.ffn;
  if (left < 1) throw refuse(fmt::format("neurons left: a ratio of {} takes out all {}", ratio, c.ffn));
  return {c.kv_heads - lost, std::min(left, c.ffn)};
}

std::vector<OptionSpec> model_shape_options() {
  const auto size = [](std::string_view name, std::string_view help) {
    return OptionSpec{.name = name, .default_value = "0", .help = help, .choices = {}, .low = 0, .high = 1e9};
  };
  return {size("hidden", "channels of the residual stream; 0: all"), size("layers", "blocks; 0: all"),
          size("kv-heads", "of every block, with their query heads; 0: all"),
          size("neurons", "of every block's feed-forward network; 0: all")};
}

ModelShape model_shape(const Config& c, std::string_view method, const Options& options) {
  const auto wanted = [&](std::string_view name, dim all) {
    const dim n = dim(options.number(name));
    if (n > all) throw input_error(method, "{}: expected at most the {} of the model, got {}", name, all, n);
    return n == 0 ? all : n;
  };
  return {wanted("hidden", c.hidden),
          wanted("layers", c.layers),
          {wanted("kv-heads", c.kv_heads), wanted("neurons", c.ffn)}};
}

std::vector<dim> highest(std::span<const double> scores, dim count) {
  std::vector<dim> order(scores.size());
  std::iota(order.begin(), order.end(), dim(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](dim a, dim b) { return scores[std::size_t(a)] > scores[std::size_t(b)]; });
  order.resize(std::size_t(count));
  std::sort(order.begin(), order.end());
  return order;
}

Surgery keep_highest(const Model& model, const BlockShape& shape, const std::function<BlockScores(dim layer)>& scores) {
  const Config& c = model.config();
  Surgery out = whole(c);
  const dim group = c.heads / c.kv_heads;
  for (dim layer = 0; layer < c.layers; ++layer) {
    const BlockScores s = scores(layer);
    BlockCut& cut = out.blocks[std::size_t(layer)];
    if (shape.kv_heads < c.kv_heads) {
      cut.kv_heads = highest(s.kv_heads, shape.kv_heads);
      cut.heads.clear();
      for (const dim kv : cut.kv_heads)
        for (dim h = 0; h < group; ++h) cut.heads.push_back(kv * group + h);
    }
    if (shape.neurons < c.ffn) cut.neurons = highest(s.neurons, shape.neurons);
  }
  return out;
}

void keep_layers(Surgery& surgery, std::vector<dim> layers) {
  std::vector<BlockCut> blocks;
  for (const dim l : layers) blocks.push_back(std::move(surgery.blocks[std::size_t(l)]));
  surgery.blocks = std::move(blocks);
  surgery.layers = std::move(layers);
}

std::vector<double> column_sums(const Model& model, Role role, dim layer, double (*power)(double)) {
  const ModelTensor* t = model.find(role, layer);
  if (!t) throw input_error(model.path().string(), "expected {} in layer {}", role_name(role), layer);
  std::vector<double> sums(std::size_t(t->weight.cols));
  std::vector<float> row(sums.size());
  for (dim r = 0; r < t->weight.rows; ++r) {
    decode_row(*t, r, row.data());
    for (std::size_t i = 0; i < row.size(); ++i) sums[i] += power(double(row[i]));
  }
  return sums;
}

std::vector<double> in_groups(std::span<const double> values, dim width) {
  std::vector<double> sums(values.size() / std::size_t(width));
  for (std::size_t i = 0; i < sums.size() * std::size_t(width); ++i) sums[i / std::size_t(width)] += values[i];
  return sums;
}

}  // namespace pith
