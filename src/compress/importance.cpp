#include "compress/importance.h"

#include "core/error.h"
#include "io/imatrix.h"
#include "model/arch.h"

namespace pith {

std::string importance_name(const Model& model, const ModelTensor& t) {
  for (const TensorName& entry : model.arch().tensors) {
    if (entry.role != t.role || entry.part != t.part) continue;
    std::string name(entry.gguf);
    if (const auto hole = name.find("{}"); hole != name.npos) name.replace(hole, 2, std::to_string(t.layer));
    return name;
  }
  return {};
}

Importance Importance::load(const std::filesystem::path& file, const Model& model) {
  Imatrix read = read_imatrix(file);
  Importance out;
  const auto tensors = model.tensors();
  out.of_tensor_.resize(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ModelTensor& t = tensors[i];
    if (t.vector || t.part != Part::weight || model.inner_of(t)) continue;  // no factor is what was measured
    const auto entry = read.mean_squares.find(importance_name(model, t));
    if (entry == read.mean_squares.end()) continue;
    const std::vector<float>& values = entry->second;
    const dim cols = t.weight.cols, before = std::max<dim>(0, t.expert) * cols;
    const bool fits_one = dim(values.size()) == cols,
               fits_experts = t.expert >= 0 && before + cols <= dim(values.size());
    if (!fits_one && !(fits_experts && dim(values.size()) % cols == 0))
      throw input_error(file.string(), "expected {} values for {}, got {}: it was made for another model", cols,
                        entry->first, values.size());
    const auto first = values.begin() + (fits_one ? 0 : before);
    out.of_tensor_[i].assign(first, first + cols);
    ++out.size_;
  }
  if (out.size_ == 0)
    throw input_error(file.string(), "expected importance for tensors of this model, none of its {} entries is",
                      read.mean_squares.size());
  return out;
}

const float* Importance::find(std::size_t tensor) const {
  return tensor < of_tensor_.size() && !of_tensor_[tensor].empty() ? of_tensor_[tensor].data() : nullptr;
}

}  // namespace pith
