// Minitron: a model of a given shape in one step. Channels of the residual stream, heads and neurons are ranked by how
// large what they give is on average, blocks by how far they turn the stream. Meant to be trained afterwards.
#include <algorithm>
#include <cmath>

#include "compress/structured/branches.h"
#include "compress/structured/shape.h"
#include "compress/structured/walk.h"
#include "core/error.h"

namespace pith {

namespace {

// Of each channel of the stream, over all blocks: the sum of the norms of what the blocks' norms give.
class NormOutputs : public LinearObserver {
 public:
  explicit NormOutputs(dim hidden) : channels(static_cast<std::size_t>(hidden)) {}
  void linear_input(Role role, dim, const float* x, dim rows, dim cols) override {
    if (role != Role::attn_v && role != Role::attn_qkv && role != Role::ffn_up && role != Role::ffn_gate_up) return;
    for (dim c = 0; c < cols; ++c) {
      double sum = 0;
      for (dim r = 0; r < rows; ++r) sum += std::fabs(double(x[r * cols + c]));
      channels[std::size_t(c)] += sum;
    }
  }
  std::vector<double> channels;
};

std::vector<double> channel_scores(const ReshapeTask& task) {
  NormOutputs outputs(task.model.config().hidden);
  walk_blocks(task.model, task.tokens(), "channels", "what channels carry", task.progress, outputs);
  return outputs.channels;
}

std::vector<double> norms(const Channels& channels) {
  std::vector<double> out;
  for (dim c = 0; c < dim(channels.squares.size()); ++c) out.push_back(channels.norm(c));
  return out;
}

Model minitron_reshape(const ReshapeTask& task, const Options& options) {
  const Model& model = task.model;
  const Config& c = model.config();
  const ModelShape shape = model_shape(c, "minitron", options);
  const std::vector<BlockView> views = view_blocks(model, task.tokens(), task.progress);
  const dim of_kv_head = c.heads / c.kv_heads * c.head_dim;
  Surgery surgery = keep_highest(model, shape.block, [&](dim layer) {
    const BlockView& v = views[std::size_t(layer)];
    return BlockScores{in_groups(norms(v.attn), of_kv_head), norms(v.ffn)};
  });
  if (shape.hidden < c.hidden) surgery.hidden = highest(channel_scores(task), shape.hidden);
  std::vector<double> influence;
  for (const BlockView& v : views) influence.push_back(v.influence);
  keep_layers(surgery, highest(influence, shape.layers));
  return cut_model(model, surgery);
}

}  // namespace

extern const Method minitron_method;
const Method minitron_method{
    .name = "minitron",
    .family = "structured pruning",
    .summary = "a model of a given shape in one step: what is largest on average stays; to be trained afterwards",
    .paper = "Minitron (arXiv:2407.14679)",
    .options = model_shape_options(),
    .needs = Needs::text,
    .reshape = minitron_reshape,
};

}  // namespace pith
