// Matrices as products of two thinner ones: W (rows, cols) becomes weight (rows, rank) times inner (rank, cols).
#pragma once
#include <memory>
#include <vector>

#include "model/model.h"

namespace pith {

// The factors of one linear layer, f32.
struct Factors {
  std::size_t tensor = 0;  // into Model::tensors()
  dim rank = 0;
  const float* outer = nullptr;  // (rows, rank)
  const float* inner = nullptr;  // (rank, cols); null: that of the matrix it shares its input with (shared_input)
  std::vector<float> bias = {};  // (rows) added to what the factors give; empty: nothing
};

bool is_factored(const Model& model);  // some matrix of it is

// Why this matrix cannot be factored; empty: it can.
std::string cannot_factor(const Model& model, const ModelTensor& t);

// Whether the family has a place for biases of all the matrices of its blocks.
bool takes_biases(const Model& model);

// The model again, opened anew, with factors in place of these matrices, in f32; where some have a bias its branch's
// other matrices get one of zeros, since programs take biases for all or none. They lie in memory that `keeper` owns,
// which the model holds on to.
Model factored_model(const Model& model, std::vector<Factors> factors, std::shared_ptr<const void> keeper);

// The model again, opened anew, with products in place of factors, summed in double and set aside in f32.
Model merged_model(const Model& model);

}  // namespace pith
