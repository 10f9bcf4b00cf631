// How much each input of a linear layer matters: the mean of its square over a calibration text.
#pragma once
#include <filesystem>
#include <map>
#include <vector>

#include "model/model.h"

namespace pith {

class Importance {
 public:
  Importance() = default;  // nothing was measured
  // From a llama.cpp imatrix file. Error(input) when it is damaged, an entry's length is not the tensor's
  // number of columns, or it speaks of no tensor of this model.
  static Importance load(const std::filesystem::path& file, const Model& model);

  // (cols) non-negative weights, or null.
  const float* find(const ModelTensor& t) const;
  dim size() const { return dim(entries_.size()); }

 private:
  std::map<std::string, std::vector<float>, std::less<>> entries_;  // by the tensor's name in a GGUF file
  const Arch* arch_ = nullptr;
};

}  // namespace pith
