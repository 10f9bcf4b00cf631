// A model in another basis of its residual stream, where no element stands out: it computes the same, with all norms'
// weights in the matrices that read them (QuaRot, arXiv:2404.00456).
#pragma once
#include <memory>
#include <vector>

#include "model/model.h"

namespace pith {

struct RotationChoice {
  std::uint64_t seed = 0;
  // Of the residual stream: x becomes x Q, with this Q (hidden, hidden) instead of a random one.
  std::shared_ptr<const std::vector<double>> basis = {};
  bool heads = true;  // values of each head by a Hadamard matrix, undone by the output projection
  // Instead of that matrix: of each block (head_dim, head_dim); empty where it stays.
  std::vector<std::vector<double>> head_bases = {};
  // The inputs of down-projections, too. That one is turned while the model runs (Config::rotated_down), which other
  // programs cannot do.
  bool down = true;
};

// The model again, opened anew, its matrices turned in double and set aside in f32; the head stands apart from the
// embedding. Error(input) for models that have no such basis: with layer norms, norms after a branch, or position
// embeddings.
Model rotated_model(const Model& model, const RotationChoice& choice);

}  // namespace pith
