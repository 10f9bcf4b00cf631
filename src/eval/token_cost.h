// What a model costs: operations and bytes for each token, and how many of its weights are zero.
#pragma once
#include <span>

#include "model/model.h"

namespace pith {

// By the matrices that a token is multiplied with, of the experts in use; a multiplication and its addition are two
// operations. Attention is apart, as it grows with the tokens before.
struct TokenCost {
  double linear_ops = 0;    // of the linear layers, zeros and all: what dense products execute
  double kept_ops = 0;      // without the zeros that the file leaves out
  double head_ops = 0;      // for a token's logits
  double ops_per_past = 0;  // 4 * layers * heads * head size, for each token before
  double bytes = 0;         // of the weights read once for a step, the head's included

  double decode_ops(double past) const { return linear_ops + head_ops + ops_per_past * past; }
  // A token of a prompt, on average; `depth` tokens are in the cache already. Logits are made once.
  double prefill_ops(dim tokens, dim depth) const {
    return linear_ops + head_ops / double(tokens) + ops_per_past * (double(depth) + double(tokens - 1) / 2);
  }
};
TokenCost token_cost(const Config& config, std::span<const ModelTensor> tensors);

// Of the weights of linear layers, as they decode.
struct ZeroCount {
  dim values = 0, zeros = 0;
  double share() const { return values > 0 ? double(zeros) / double(values) : 0; }
};
ZeroCount count_zeros(const Model& model);  // reads every weight

}  // namespace pith
