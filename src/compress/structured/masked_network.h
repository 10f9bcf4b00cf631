// A network whose structures are multiplied by masks. A head's mask stands in the columns of attn_o that read it, a
// neuron's in its column of ffn_down, a block's in both matrices; a channel's in the rows of both and in its column of
// the embedding. So the forward and backward passes are the usual ones, and the gradient of a mask is that of what it
// multiplies times the values without it, summed.
#pragma once
#include <deque>
#include <span>
#include <vector>

#include "model/backward/model_backward.h"
#include "model/model.h"

namespace pith {

struct MaskRow {
  std::span<const double> values;
  std::span<double> gradient;  // of as many; to be added to
};

struct NetworkMasks {
  MaskRow layers, hidden;
  std::vector<MaskRow> heads, neurons;  // of each layer; heads: a kv head with its query heads
};

class MaskedNetwork {
 public:
  struct Choice {
    bool hidden = false;  // channels have masks, too; else those stay 1
    bool bf16 = true;     // what is multiplied is rounded to bf16 where the processor has such products
  };
  MaskedNetwork(const Model& model, const Choice& choice);  // views the model
  const Network& network() const { return network_; }
  // Takes the masks' values.
  void publish(const NetworkMasks& masks);
  // For ModelBackward::run.
  OuterGradients outer();
  BlockGradients wanted(dim layer);
  void done(dim layer, NetworkMasks& masks);  // adds to the masks' gradients
  void done_all(NetworkMasks& masks);         // the same of the embedding

 private:
  struct Masked {
    const ModelTensor* tensor = nullptr;
    Encoded* copy = nullptr;  // of its values times the masks
  };
  struct Factors {
    std::vector<double> rows, cols;
  };
  Masked mask(Role role, dim layer, const Weight** place);
  static void write(const Masked& m, const Factors& f);
  // Sums of gradient times value, those of a row times the columns' factors and those of a column times the rows'.
  static Factors sums(const Masked& m, const Factors& f, const float* gradient);
  Factors attention_factors(const NetworkMasks& masks, dim layer) const;
  Factors ffn_factors(const NetworkMasks& masks, dim layer) const;

  const Model& model_;
  const Config& config_;
  const Format& format_;  // of the copies
  Network network_;
  std::vector<Block> blocks_;
  std::deque<Weight> weights_;
  std::vector<Masked> attention_, ffn_;  // of each layer
  Masked embed_;
  std::vector<float> attention_gradient_, ffn_gradient_, embed_gradient_;  // the first two of one block at a time
};

}  // namespace pith
