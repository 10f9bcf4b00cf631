// What of a model is learned: its values in f32 with gradients and moments, and the network that computes with them.
#pragma once
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "core/group.h"
#include "model/backward/model_backward.h"
#include "model/model.h"
#include "ops/act/act_codec.h"
#include "ops/low_rank.h"
#include "train/parameter.h"

namespace pith {

enum class TrainWhat { full, lora, norms, scales };  // scales: of quantized matrices (grid_scales.h)

struct TrainChoice {
  TrainWhat what = TrainWhat::full;
  dim rank = 16;                 // lora
  double alpha = 32;             // lora: the product of factors counts alpha / rank times
  bool dora = false;             // lora: rows' lengths are learned apart from their directions (DoRA, arXiv:2402.09353)
  std::vector<Role> roles = {};  // lora: matrices that are adapted; empty: all linear layers
  std::uint64_t seed = 0;        // lora: draws the first factors
  // Products of weights that are learned: in bf16 where the processor has them, on copies rounded after each step.
  bool bf16 = true;
  // Quantization-aware training, by Model::tensors() index: matrices that compute with what this format makes of their
  // values (its own search for ranges), while gradients go to the values as if nothing was rounded (straight through,
  // arXiv:1308.3432). Empty, or null: with the values.
  std::vector<const Format*> rounded = {};
  ActSpec activations = {};  // how the inputs of linear layers are rounded meanwhile; gradients likewise
  Optimizer optimizer = Optimizer::adamw;
};

// Whose batches add up: each of the first `parts` processes brings one, or this process alone does.
struct Together {
  Group& group = one_process();
  int parts = 1;
};

class Trainable {
 public:
  // Views the model. Error(input) where it has nothing of what is asked, or cannot be learned from (experts, turned
  // matrices).
  Trainable(const Model& model, const TrainChoice& choice);
  ~Trainable();
  Trainable(const Trainable&) = delete;

  // Computes with the values as they were published last.
  const Network& network() const;
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  dim count() const;       // values that are learned
  dim size_bytes() const;  // of them, their gradients, moments and copies
  void clear_gradients();
  // The loss of a batch; its gradients are formed from zero, block by block, and added to the parameters', so that they
  // do not depend on which process formed them. `backward` is of network().
  double add_gradients(ModelBackward& backward, std::span<const std::vector<Token>> sequences,
                       std::span<const dim> places, TokenLoss& loss, const Together& together = {});
  void add_gradients_of_others(const Together& together);  // of a process that brings no batch
  void publish();                                          // after values changed
  // The parameters without gradients and moments; nothing else of it is to be used afterwards.
  std::vector<Parameter> take_values();
  // Of each matrix a low_rank_a, a low_rank_b and, with dora, a magnitude follow one another. What their product
  // counts:
  float low_rank_scale() const { return scale_; }

 private:
  struct Impl;
  std::size_t add(std::size_t tensor, ParameterKind kind, dim rows, dim cols);
  void add_full(const Model& model);
  void add_norms(const Model& model);
  void add_scales(const Model& model);
  void add_lora(const Model& model, const TrainChoice& choice);
  void make_network();
  void add_formed(dim layer, const Together& together);

  std::vector<Parameter> parameters_;
  std::unique_ptr<Impl> impl_;
  float scale_ = 1;
  Optimizer optimizer_ = Optimizer::adamw;
};

}  // namespace pith
