// How much each input of a linear layer matters: the mean of its square over a calibration text.
#pragma once
#include <filesystem>
#include <vector>

#include "model/model.h"

namespace pith {

class Importance {
 public:
  Importance() = default;  // nothing was measured
  // From a llama.cpp imatrix file. Error(input) when it is damaged, an entry's length is not the tensor's
  // number of columns, or it speaks of no tensor of this model.
  static Importance load(const std::filesystem::path& file, const Model& model);

  // (cols) non-negative weights of Model::tensors()[tensor], or null.
  const float* find(std::size_t tensor) const;
  dim size() const { return size_; }  // tensors that have some

 private:
  std::vector<std::vector<float>> of_tensor_;  // empty: none
  dim size_ = 0;
};

// What importance files call the tensor, whatever container it comes from; empty when its family's GGUF files have no
// such tensor.
std::string importance_name(const Model& model, const ModelTensor& t);

}  // namespace pith
