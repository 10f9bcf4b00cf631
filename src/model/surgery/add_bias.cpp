#include "model/surgery/add_bias.h"

#include <algorithm>
#include <cstring>

#include "formats/format.h"
#include "model/open/tensor_table.h"

namespace pith {

namespace {

// What the family calls it; null where it has no such tensor.
const TensorName* entry(const Model::Impl& m, Role role) {
  for (const TensorName& e : m.arch->tensors)
    if (e.role == role && e.part == Part::bias && !(m.gguf.empty() ? e.hf : e.gguf).empty()) return &e;
  return nullptr;
}

std::vector<ModelTensor>::iterator find(Model::Impl& m, Role role, dim layer, Part part) {
  return std::find_if(m.tensors.begin(), m.tensors.end(),
                      [&](const ModelTensor& t) { return t.role == role && t.layer == layer && t.part == part; });
}

}  // namespace

void add_bias(Model::Impl& m, Role role, dim layer, std::span<const float> more) {
  const auto weight = find(m, role, layer, Part::weight);
  auto bias = find(m, role, layer, Part::bias);
  const bool is_there = bias != m.tensors.end();
  const TensorName* name = entry(m, role);
  if (!is_there && (!name || weight == m.tensors.end())) return;
  if (is_there && more.empty()) return;
  const dim size = is_there ? bias->weight.cols : weight->weight.rows;
  std::vector<float> values(static_cast<std::size_t>(size), 0.0f);
  if (is_there) bias->weight.format->decode(*bias->weight.format, bias->weight.data, size, values.data());
  for (std::size_t i = 0; i < more.size(); ++i) values[i] += more[i];
  if (!is_there) {
    ModelTensor made;
    made.name = tensor_name(m.gguf.empty() ? name->hf : name->gguf, layer);
    made.role = role;
    made.part = Part::bias;
    made.layer = layer;
    made.shape = {size};
    set_shape(made);
    bias = m.tensors.insert(weight + 1, std::move(made));
  }
  Buffer bytes(size * dim(sizeof(float)));
  std::memcpy(bytes.data(), values.data(), values.size() * sizeof(float));
  bias->weight.format = &f32_format();
  bias->weight.data = m.scratch.keep(std::move(bytes));
}

}  // namespace pith
