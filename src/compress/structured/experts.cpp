// Experts of a mixture that calibration tokens hardly use are left out; the router chooses among the others.
#include <algorithm>
#include <cmath>

#include "compress/structured/shape.h"
#include "compress/structured/walk.h"
#include "core/error.h"

namespace pith {

namespace {

// Of each expert: the tokens sent to it, or the sum of the norms of what its last matrix reads.
class Use : public LinearObserver {
 public:
  Use(const Config& c, bool norms)
      : scores(std::size_t(c.layers), std::vector<double>(std::size_t(c.experts))), norms_(norms) {}
  void linear_input(Role, dim, const float*, dim, dim) override {}
  void expert_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) override {
    if (role != Role::expert_down) return;
    double sum = norms_ ? 0 : double(rows);
    for (dim r = 0; r < rows && norms_; ++r) {
      double square = 0;
      for (dim c = 0; c < cols; ++c) square += double(x[r * cols + c]) * double(x[r * cols + c]);
      sum += std::sqrt(square);
    }
    scores[std::size_t(layer)][std::size_t(expert)] += sum;
  }
  std::vector<std::vector<double>> scores;

 private:
  bool norms_;
};

Model experts_reshape(const ReshapeTask& task, const Options& options) {
  const Config& c = task.model.config();
  const dim keep = dim(options.number("keep"));
  if (c.experts == 0) throw input_error("experts", "expected a mixture of experts, got a model without");
  if (keep > c.experts || keep < c.experts_used)
    throw input_error("experts", "keep: expected {} (as many as a token uses) to {}, got {}", c.experts_used, c.experts,
                      keep);
  Use use(c, options.text("score") == "norm");
  walk_blocks(task.model, task.tokens(), "experts", "who is asked", task.progress, use);
  Surgery surgery = whole(c);
  for (std::size_t l = 0; l < surgery.blocks.size(); ++l) surgery.blocks[l].experts = highest(use.scores[l], keep);
  return cut_model(task.model, surgery);
}

}  // namespace

extern const Method experts_method;
const Method experts_method{
    .name = "experts",
    .family = "structured pruning",
    .summary = "leaves out the experts of a mixture that the fewest tokens are sent to, or that say the least",
    .paper = "expert pruning (arXiv:2206.00277)",
    .options = {{.name = "keep",
                 .default_value = "4",
                 .help = "experts of each layer that stay",
                 .choices = {},
                 .low = 1,
                 .high = 65536},
                {.name = "score",
                 .default_value = "norm",
                 .help = "the tokens sent to an expert, or the sum of the norms of what its last matrix reads for them",
                 .choices = {"usage", "norm"}}},
    .needs = Needs::text,
    .reshape = experts_reshape,
};

}  // namespace pith
