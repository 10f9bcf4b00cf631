// Where the columns of matrices can be multiplied without changing what a block computes, because what makes their
// input can be divided by the same factors.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace pith {

struct FoldEdge {
  std::string_view name;             // "feed-forward input"
  std::vector<std::size_t> readers;  // matrices that read the input, by Model::tensors() index; quantized or not
  // What makes input j: element j of a norm's weight and bias; or row (of the bias: element) maker_row[j] of a matrix.
  std::vector<std::size_t> makers;
  std::vector<dim> maker_row;  // empty: j
  bool norm = false;           // the makers are a norm's
};

struct BlockEdges {
  std::vector<FoldEdge> edges;
  std::vector<std::string> closed;  // inputs that cannot be scaled, and why
};
BlockEdges fold_edges(const Model& model, dim layer);

}  // namespace pith
