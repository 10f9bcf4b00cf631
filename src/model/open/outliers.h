// Outliers of a matrix, as they are stored beside it (export/parts.h).
#pragma once
#include <string>
#include <vector>

#include "model/model_impl.h"

namespace pith {

// A stored table, slowest dimension first; `data` is a view that outlives the model's tensors.
struct StoredTable {
  std::string name;
  bool right_type = false;  // of what it should be
  std::vector<dim> shape;
  const std::byte* data = nullptr;
};

// Gives them to `t`, whose shape is known. Error(input) that names the table unless shapes agree and each row's columns
// ascend within the matrix.
void attach_outliers(const StoredTable& columns, const StoredTable& values, ModelTensor& t);

// The same for the tables of a GGUF file, which lie in the file of their matrices. Error(input) when one has no partner
// or no matrix.
void attach_gguf_outliers(const GgufFile& file, const std::vector<const GgufTensor*>& tables,
                          std::vector<ModelTensor>& tensors);

}  // namespace pith
