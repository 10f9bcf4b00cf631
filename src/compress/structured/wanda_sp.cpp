// Wanda's score, |weight| times the norm of its input, summed over what goes together: the columns of a branch's last
// matrix that one neuron, or the heads of one kv head, feed.
#include <cmath>

#include "compress/structured/branches.h"
#include "compress/structured/shape.h"

namespace pith {

namespace {

double magnitude(double w) { return std::fabs(w); }

std::vector<double> column_scores(const Model& model, Role role, dim layer, const Channels& input) {
  std::vector<double> scores = column_sums(model, role, layer, magnitude);
  for (std::size_t c = 0; c < scores.size(); ++c) scores[c] *= input.norm(dim(c));
  return scores;
}

Model wanda_sp_reshape(const ReshapeTask& task, const Options& options) {
  const Model& model = task.model;
  const Config& c = model.config();
  const BlockShape shape = block_shape(model, options);
  const std::vector<BlockView> views = view_blocks(model, task.tokens(), task.progress);
  const dim of_kv_head = c.heads / c.kv_heads * c.head_dim;
  return cut_model(model, keep_highest(model, shape, [&](dim layer) {
                     const BlockView& v = views[std::size_t(layer)];
                     return BlockScores{in_groups(column_scores(model, Role::attn_o, layer, v.attn), of_kv_head),
                                        column_scores(model, Role::ffn_down, layer, v.ffn)};
                   }));
}

}  // namespace

extern const Method wanda_sp_method;
const Method wanda_sp_method{
    .name = "wanda_sp",
    .family = "structured pruning",
    .summary = "takes out the heads and neurons whose weights, times the norms of their inputs, sum to the least",
    .paper = "Wanda (arXiv:2306.11695), as FLAP's authors extend it to structures (arXiv:2312.11983)",
    .options = {ratio_option(), heads_option(), multiple_option()},
    .needs = Needs::text,
    .reshape = wanda_sp_reshape,
};

}  // namespace pith
