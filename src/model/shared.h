// Blocks that share matrices: one for all of them, plus a difference of low rank for each block,
// W + difference_b difference_a. Norms and biases stay each block's own.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith {

// f32 factors of what a block's matrix is beside the shared one.
struct Difference {
  dim rank = 0;              // 0: nothing
  const float* a = nullptr;  // (rank, cols)
  const float* b = nullptr;  // (rows, rank)
};

// Matrices of one role that become one.
struct SharedMatrix {
  std::vector<std::size_t> tensors;     // into Model::tensors(): of a block each, ascending
  const float* values = nullptr;        // (rows, cols) what they become, f32; null: the first of them
  std::vector<Difference> differences;  // of each of them
};

// Some blocks of it share matrices, or some matrix has a difference.
bool is_shared(const Model& model);
// Why this matrix cannot be shared; empty: it can.
std::string cannot_share(const Model& model, const ModelTensor& t);
// The blocks that read this matrix, its own first.
std::vector<dim> readers_of(const Model& model, const ModelTensor& t);

// The model again, opened anew, with these matrices shared. A block shares all of its matrices with one other. What
// the pointers point to lies in memory that `keeper` owns, which the model holds on to.
Model shared_model(const Model& model, std::vector<SharedMatrix> matrices, std::shared_ptr<const void> keeper);
// The model again, opened anew, with a matrix of its own for each block, set aside in f32.
Model unshared_model(const Model& model);

}  // namespace pith
