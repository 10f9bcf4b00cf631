// LLM-Pruner: the first-order change of the loss when a structure goes, |weight x gradient| of everything that goes
// with it: a neuron's rows of gate and up and its column of down; a kv head's rows of k and v, those of its queries,
// and the columns of o that they feed.
#include <algorithm>
#include <cmath>
#include <map>

#include "compress/structured/shape.h"
#include "core/error.h"
#include "model/backward/model_backward.h"

namespace pith {

namespace {

constexpr Role kRoles[] = {Role::attn_q,   Role::attn_k, Role::attn_v,      Role::attn_qkv, Role::attn_o,
                           Role::ffn_gate, Role::ffn_up, Role::ffn_gate_up, Role::ffn_down};

// |w g| of a matrix, summed over its rows (attn_o, ffn_down) or columns (the others).
std::vector<double> sums_of(const ModelTensor& t, const std::vector<float>& gradient) {
  const bool by_column = t.role == Role::attn_o || t.role == Role::ffn_down;
  std::vector<double> sums(std::size_t(by_column ? t.weight.cols : t.weight.rows));
  std::vector<float> row(std::size_t(t.weight.cols));
  for (dim r = 0; r < t.weight.rows; ++r) {
    decode_row(t, r, row.data());
    for (std::size_t c = 0; c < row.size(); ++c)
      sums[by_column ? c : std::size_t(r)] +=
          std::fabs(double(row[c]) * double(gradient[std::size_t(r) * row.size() + c]));
  }
  return sums;
}

void add_to(std::vector<double>& to, std::span<const double> more) {
  PITH_CHECK(more.size() == to.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
}

// Which kv head the head in row `block` of a fused projection belongs to.
dim kv_head_of(const Config& c, dim block) {
  if (c.qkv_order == QkvOrder::by_head) return block / (c.heads / c.kv_heads + 2);
  if (block < c.heads) return block / (c.heads / c.kv_heads);
  return (block - c.heads) % c.kv_heads;
}

void add_matrix(const Config& c, Role role, std::span<const double> sums, BlockScores& scores) {
  const dim d = c.head_dim, group = c.heads / c.kv_heads;
  const auto half = sums.size() / 2;
  switch (role) {
    case Role::attn_q:
    case Role::attn_o:
      return add_to(scores.kv_heads, in_groups(sums, group * d));
    case Role::attn_k:
    case Role::attn_v:
      return add_to(scores.kv_heads, in_groups(sums, d));
    case Role::attn_qkv: {
      const std::vector<double> heads = in_groups(sums, d);
      for (std::size_t h = 0; h < heads.size(); ++h) scores.kv_heads[std::size_t(kv_head_of(c, dim(h)))] += heads[h];
      return;
    }
    case Role::ffn_gate_up:
      add_to(scores.neurons, sums.first(half));
      return add_to(scores.neurons, sums.subspan(half));
    default:
      return add_to(scores.neurons, sums);
  }
}

// Gradients of one block at a time: all sequences go through the model together.
class Taylor {
 public:
  explicit Taylor(const Model& model) : model_(model), scores_(std::size_t(model.config().layers)) {}

  std::vector<BlockScores> run(std::span<const std::vector<Token>> sequences) {
    std::size_t longest = 0;
    for (const auto& s : sequences) longest = std::max(longest, s.size());
    ModelBackward backward(Network::of(model_), dim(longest), dim(sequences.size()));
    backward.run(
        sequences, {}, [&](dim layer) { return wanted(layer); }, [&](dim layer) { score(layer); });
    return std::move(scores_);
  }

 private:
  BlockGradients wanted(dim layer) {
    BlockGradients out;
    for (const Role role : kRoles)
      if (const ModelTensor* t = model_.find(role, layer)) {
        gradients_[role].assign(std::size_t(t->weight.rows * t->weight.cols), 0.0f);
        find_gradient(out, role)->weight = gradients_[role].data();
      }
    return out;
  }

  void score(dim layer) {
    const Config& c = model_.config();
    BlockScores& scores = scores_[std::size_t(layer)];
    scores = {std::vector<double>(std::size_t(c.kv_heads)), std::vector<double>(std::size_t(c.ffn))};
    for (const Role role : kRoles)
      if (const ModelTensor* t = model_.find(role, layer)) add_matrix(c, role, sums_of(*t, gradients_[role]), scores);
  }

  const Model& model_;
  std::map<Role, std::vector<float>> gradients_;  // of one block
  std::vector<BlockScores> scores_;
};

Model llm_pruner_reshape(const ReshapeTask& task, const Options& options) {
  const BlockShape shape = block_shape(task.model, options);
  // As the authors take them: a few short samples say enough.
  const auto samples = std::size_t(options.number("samples")), length = std::size_t(options.number("length"));
  std::vector<std::vector<Token>> sequences;
  for (const auto& s : task.tokens().sequences)
    if (sequences.size() < samples && s.size() > 1)
      sequences.emplace_back(s.begin(), s.begin() + std::ptrdiff_t(std::min(s.size(), length)));
  task.progress.begin("gradients", 1);
  const std::vector<BlockScores> scores = Taylor(task.model).run(sequences);
  return cut_model(task.model, keep_highest(task.model, shape, [&](dim layer) { return scores[std::size_t(layer)]; }));
}

}  // namespace

extern const Method llm_pruner_method;
const Method llm_pruner_method{
    .name = "llm_pruner",
    .family = "structured pruning",
    .summary =
        "takes out the heads and neurons whose weights times their gradients promise the least change of the loss",
    .paper = "LLM-Pruner (arXiv:2305.11627)",
    .options =
        {ratio_option(),
         heads_option(),
         multiple_option(),
         {.name = "samples",
          .default_value = "16",
          .help = "of the calibration text that gradients are taken of",
          .choices = {},
          .low = 1,
          .high = 1024},
         {.name = "length", .default_value = "128", .help = "tokens of each", .choices = {}, .low = 2, .high = 4096}},
    .needs = Needs::text,
    .reshape = llm_pruner_reshape,
};

}  // namespace pith
