// FLAP: what hardly varies can be replaced by its mean. A column of a branch's last matrix scores by the variance of
// its input times its squared norm; what the columns that go gave on average becomes a bias.
#include "compress/structured/branches.h"
#include "compress/structured/shape.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

double square(double w) { return w * w; }

std::vector<double> fluctuation(const Model& model, Role role, dim layer, const Channels& input) {
  std::vector<double> scores = column_sums(model, role, layer, square);
  for (std::size_t c = 0; c < scores.size(); ++c) scores[c] *= input.variance(dim(c));
  return scores;
}

// W times the mean of what is lost; `kept` groups of `width` columns stay.
std::vector<float> lost_mean(const Model& model, Role role, dim layer, const Channels& input,
                             const std::vector<dim>& kept, dim width) {
  const ModelTensor& t = *model.find(role, layer);
  std::vector<double> mean(std::size_t(t.weight.cols));
  for (std::size_t c = 0; c < mean.size(); ++c) mean[c] = input.mean(dim(c));
  for (const dim g : kept)
    for (dim i = 0; i < width; ++i) mean[std::size_t(g * width + i)] = 0;
  std::vector<float> bias(std::size_t(t.weight.rows));
  parallel_ranges(t.weight.rows, 32, [&](dim begin, dim end) {
    std::vector<float> row(mean.size());
    for (dim r = begin; r < end; ++r) {
      decode_row(t, r, row.data());
      double sum = 0;
      for (std::size_t c = 0; c < row.size(); ++c) sum += double(row[c]) * mean[c];
      bias[std::size_t(r)] = float(sum);
    }
  });
  return bias;
}

void add_biases(const Model& model, const std::vector<BlockView>& views, Surgery& surgery) {
  const Config& c = model.config();
  for (std::size_t l = 0; l < surgery.blocks.size(); ++l) {
    BlockCut& cut = surgery.blocks[l];
    if (dim(cut.heads.size()) < c.heads)
      cut.attn_bias = lost_mean(model, Role::attn_o, dim(l), views[l].attn, cut.heads, c.head_dim);
    if (dim(cut.neurons.size()) < c.ffn)
      cut.ffn_bias = lost_mean(model, Role::ffn_down, dim(l), views[l].ffn, cut.neurons, 1);
  }
}

Model flap_reshape(const ReshapeTask& task, const Options& options) {
  const Model& model = task.model;
  const Config& c = model.config();
  const bool compensate = options.text("bias") == "true";
  if (compensate && !takes_branch_biases(model))
    throw Error(Blame::input, "flap",
                fmt::format("expected a family with biases after its branches, got {}", model.config().arch),
                "--set bias=false leaves the lost means out");
  const BlockShape shape = block_shape(model, options);
  const std::vector<BlockView> views = view_blocks(model, task.tokens(), task.progress);
  const dim of_kv_head = c.heads / c.kv_heads * c.head_dim;
  Surgery surgery = keep_highest(model, shape, [&](dim layer) {
    const BlockView& v = views[std::size_t(layer)];
    return BlockScores{in_groups(fluctuation(model, Role::attn_o, layer, v.attn), of_kv_head),
                       fluctuation(model, Role::ffn_down, layer, v.ffn)};
  });
  if (compensate) add_biases(model, views, surgery);
  return cut_model(model, surgery);
}

}  // namespace

extern const Method flap_method;
const Method flap_method{
    .name = "flap",
    .family = "structured pruning",
    .summary = "takes out the heads and neurons whose outputs vary least; a bias stands for what they gave on average",
    .paper = "FLAP (arXiv:2312.11983)",
    .options = {ratio_option(),
                heads_option(),
                multiple_option(),
                {.name = "bias",
                 .default_value = "true",
                 .help = "add the mean of what is lost to what a branch gives",
                 .choices = {"true", "false"}}},
    .needs = Needs::text,
    .reshape = flap_reshape,
};

}  // namespace pith
