#include <algorithm>

#include "core/error.h"
#include "io/printable.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"
#include "model/shared.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

ModelTensor half_of(const ModelTensor& t, Part part, const Difference& d) {
  const bool is_a = part == Part::difference_a;
  ModelTensor out;
  out.name = name_of_part(t.name, part);
  out.role = t.role;
  out.part = part;
  out.layer = t.layer;
  set_values(out, is_a ? d.rank : t.weight.rows, is_a ? t.weight.cols : d.rank,
             reinterpret_cast<const std::byte*>(is_a ? d.a : d.b));
  return out;
}

void share(Model::Impl& m, const std::vector<SharedMatrix>& matrices) {
  std::map<std::size_t, std::pair<const SharedMatrix*, std::size_t>> place;  // of a tensor: which of which
  for (const SharedMatrix& matrix : matrices)
    for (std::size_t k = 0; k < matrix.tensors.size(); ++k) place[matrix.tensors[k]] = {&matrix, k};
  std::vector<ModelTensor> out;
  std::vector<dim> layer_of;
  for (const ModelTensor& t : m.tensors) layer_of.push_back(t.layer);
  for (std::size_t i = 0; i < m.tensors.size(); ++i) {
    ModelTensor& t = m.tensors[i];
    const auto at = place.find(i);
    if (at == place.end()) {
      out.push_back(std::move(t));
      continue;
    }
    const auto [matrix, k] = at->second;
    const Difference& d = matrix->differences[k];
    if (d.rank > 0)
      for (const Part part : {Part::difference_a, Part::difference_b}) out.push_back(half_of(t, part, d));
    const dim first = layer_of[matrix->tensors[0]];
    if (k > 0) {
      const auto [known, is_new] = m.shared.emplace(t.layer, first);
      PITH_CHECK(known->second == first);
      continue;
    }
    if (matrix->values) set_values(t, t.weight.rows, t.weight.cols, reinterpret_cast<const std::byte*>(matrix->values));
    out.push_back(std::move(t));
  }
  m.tensors = std::move(out);
  std::string blocks;
  for (const auto& [layer, first] : m.shared)
    blocks += fmt::format("{}{} those of {}", blocks.empty() ? "" : ", ", layer, first);
  m.notes.push_back("blocks that read another's matrices: " + blocks);
}

// "model.layers.10.self_attn.q_proj.weight" of another block
std::string name_in(const ModelTensor& t, dim layer) {
  const std::string number = fmt::format(".{}.", t.layer);
  const std::size_t at = t.name.find(number);
  PITH_CHECK(at != std::string::npos);
  return t.name.substr(0, at) + fmt::format(".{}.", layer) + t.name.substr(at + number.size());
}

ModelTensor own_matrix(Model::Impl& m, const ModelTensor& t, dim layer) {
  const ModelTensor* a = m.find(t.role, layer, Part::difference_a, t.expert);
  ModelTensor out;
  out.name = layer == t.layer ? t.name : name_in(t, layer);
  out.role = t.role;
  out.layer = layer;
  out.expert = t.expert;
  std::vector<float> values;
  const ModelTensor* b = m.find(t.role, layer, Part::difference_b, t.expert);
  Buffer whole(t.weight.rows * t.weight.cols * dim(sizeof(float)));
  if (a) {
    whole = product(&t, *b, *a);
  } else {
    values = decoded(t);
    std::copy(values.begin(), values.end(), whole.as<float>());
  }
  set_values(out, t.weight.rows, t.weight.cols, m.scratch.keep(std::move(whole)));
  return out;
}

void unshare(Model::Impl& m) {
  std::map<dim, std::vector<ModelTensor>> made;  // by layer
  std::vector<const ModelTensor*> replaced;
  for (const auto& [key, i] : m.index) {
    const auto& [role, layer, part, expert] = key;
    const ModelTensor& t = m.tensors[i];
    if (part != Part::weight || !is_linear_matrix(t)) continue;
    if (layer == t.layer && !m.find(role, layer, Part::difference_a, expert)) continue;
    made[layer].push_back(own_matrix(m, t, layer));
    if (layer == t.layer) replaced.push_back(&t);
  }
  std::vector<ModelTensor> out;
  for (ModelTensor& t : m.tensors) {
    if (const auto own = made.find(t.layer); own != made.end()) {
      std::move(own->second.begin(), own->second.end(), std::back_inserter(out));
      made.erase(own);
    }
    if (is_difference(t) || std::count(replaced.begin(), replaced.end(), &t) > 0) continue;
    out.push_back(std::move(t));
  }
  PITH_CHECK(made.empty());
  m.tensors = std::move(out);
  m.shared.clear();
  m.notes.push_back("shared matrices were multiplied out, one for each block: only pith's own folders hold them");
}

}  // namespace

bool is_shared(const Model& model) {
  return !model.impl().shared.empty() || std::any_of(model.tensors().begin(), model.tensors().end(), is_difference);
}

std::string cannot_share(const Model& model, const ModelTensor& t) {
  if (!is_linear_matrix(t) || t.layer < 0) return "it is no linear layer of a block";
  if (t.expert >= 0) return "it is an expert's";
  if (is_shared(model)) return "the model has shared matrices already";
  if (t.part == Part::inner || model.inner_of(t)) return "it is factored";
  if (t.turn) return "it is stored between rotations";
  if (!std::string_view(t.name).ends_with(".weight")) return "its name does not end with .weight";
  return "";
}

std::vector<dim> readers_of(const Model& model, const ModelTensor& t) {
  std::vector<dim> out = {t.layer};
  if (t.readers == 1) return out;
  for (const auto& [layer, first] : model.impl().shared)
    if (first == t.layer && model.find(t.role, layer, t.part, t.expert) == &t) out.push_back(layer);
  return out;
}

Model shared_model(const Model& model, std::vector<SharedMatrix> matrices, std::shared_ptr<const void> keeper) {
  for (const SharedMatrix& matrix : matrices) {
    PITH_CHECK(matrix.tensors.size() == matrix.differences.size());
    const ModelTensor& first = model.tensors()[matrix.tensors.at(0)];
    for (const std::size_t i : matrix.tensors) {
      const ModelTensor& t = model.tensors()[i];
      if (const std::string why = cannot_share(model, t); !why.empty())
        throw input_error(printable(t.name), "expected a matrix that can be shared: {}", why);
      if (t.role != first.role || t.layer < first.layer || t.weight.rows != first.weight.rows ||
          t.weight.cols != first.weight.cols)
        throw input_error(printable(t.name), "expected a matrix like {}, which it shares", printable(first.name));
    }
  }
  return Model::edited(
      model, [matrices = std::move(matrices), keeper = std::move(keeper)](Model::Impl& m) { share(m, matrices); });
}

Model unshared_model(const Model& model) { return Model::edited(model, unshare); }

}  // namespace pith
