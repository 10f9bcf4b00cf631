#include "model/factored.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"
#include "model/shared.h"
#include "model/surgery/add_bias.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

ModelTensor inner_tensor(const ModelTensor& t, const Factors& f) {
  ModelTensor out;
  out.name = name_of_part(t.name, Part::inner);
  out.role = t.role;
  out.part = Part::inner;
  out.layer = t.layer;
  out.expert = t.expert;
  set_values(out, f.rank, t.weight.cols, reinterpret_cast<const std::byte*>(f.inner));
  return out;
}

void split(Model::Impl& m, std::span<const Factors> factors) {
  std::vector<ModelTensor> out;
  auto next = factors.begin();
  for (std::size_t i = 0; i < m.tensors.size(); ++i) {
    ModelTensor& t = m.tensors[i];
    if (next == factors.end() || next->tensor != i) {
      out.push_back(std::move(t));
      continue;
    }
    if (next->inner) out.push_back(inner_tensor(t, *next));
    set_values(t, t.weight.rows, next->rank, reinterpret_cast<const std::byte*>(next->outer));
    out.push_back(std::move(t));
    ++next;
  }
  PITH_CHECK(next == factors.end());
  m.tensors = std::move(out);
  m.notes.push_back(fmt::format("{} matrices are products of two thinner ones", factors.size()));
}

constexpr Role kAttention[] = {Role::attn_q, Role::attn_k, Role::attn_v, Role::attn_qkv, Role::attn_o};
constexpr Role kFeedForward[] = {Role::ffn_gate, Role::ffn_up, Role::ffn_gate_up, Role::ffn_down};

// Of one factored matrix.
struct OwnBias {
  Role role;
  dim layer;
  const std::vector<float>* values;
};

void add_biases(Model::Impl& m, std::span<const OwnBias> all) {
  bool attention = false, feed_forward = false;
  for (const auto& [role, layer, bias] : all) {
    add_bias(m, role, layer, *bias);
    attention |= std::count(std::begin(kAttention), std::end(kAttention), role) > 0;
    feed_forward |= std::count(std::begin(kFeedForward), std::end(kFeedForward), role) > 0;
  }
  for (dim layer = 0; layer < m.config.layers; ++layer) {
    for (const Role role : kAttention)
      if (attention) add_bias(m, role, layer, {});
    for (const Role role : kFeedForward)
      if (feed_forward) add_bias(m, role, layer, {});
  }
  if (m.hf_config.empty() || all.empty()) return;
  nlohmann::json config = nlohmann::json::parse(m.hf_config);
  if (attention && !m.arch->hf_bias_key.empty()) config[std::string(m.arch->hf_bias_key)] = true;
  if (feed_forward) config["mlp_bias"] = true;
  m.hf_config = config.dump();
}

void merge(Model::Impl& m) {
  for (ModelTensor& t : m.tensors) {
    const ModelTensor* inner = inner_of(m, t);
    if (!inner) continue;
    set_values(t, t.weight.rows, inner->weight.cols, m.scratch.keep(product(nullptr, t, *inner)));
  }
  std::erase_if(m.tensors, [](const ModelTensor& t) { return t.part == Part::inner; });
  m.notes.push_back("factors were multiplied out: only pith's own folders hold them");
}

}  // namespace

bool takes_biases(const Model& model) {
  std::set<Role> needed, named;
  for (const ModelTensor& t : model.tensors())
    if (t.layer >= 0 && t.part == Part::weight && is_linear(t.role)) needed.insert(t.role);
  for (const TensorName& e : model.arch().tensors)
    if (e.part == Part::bias && !(model.is_gguf() ? e.gguf : e.hf).empty()) named.insert(e.role);
  return std::includes(named.begin(), named.end(), needed.begin(), needed.end());
}

bool is_factored(const Model& model) {
  return std::any_of(model.tensors().begin(), model.tensors().end(),
                     [](const ModelTensor& t) { return t.part == Part::inner; });
}

std::string cannot_factor(const Model& model, const ModelTensor& t) {
  if (!is_linear_matrix(t) || t.layer < 0) return "it is no linear layer of a block";
  if (t.part == Part::inner || model.inner_of(t)) return "it is factored already";
  if (is_shared(model)) return "the model has matrices that blocks share";
  if (t.turn) return "it is stored between rotations";
  if (!std::string_view(t.name).ends_with(".weight")) return "its name does not end with .weight";
  return "";
}

Model factored_model(const Model& model, std::vector<Factors> factors, std::shared_ptr<const void> keeper) {
  for (const Factors& f : factors) {
    const ModelTensor& t = model.tensors()[f.tensor];
    if (const std::string why = cannot_factor(model, t); !why.empty())
      throw input_error(t.name, "expected a matrix that can be factored: {}", why);
    PITH_CHECK(1 <= f.rank && f.rank <= t.weight.cols);
  }
  std::sort(factors.begin(), factors.end(), [](const Factors& a, const Factors& b) { return a.tensor < b.tensor; });
  return Model::edited(model, [factors = std::move(factors), keeper = std::move(keeper)](Model::Impl& m) {
    std::vector<OwnBias> own;
    for (const Factors& f : factors)
      if (!f.bias.empty()) own.push_back({m.tensors[f.tensor].role, m.tensors[f.tensor].layer, &f.bias});
    split(m, factors);
    add_biases(m, own);
  });
}

Model merged_model(const Model& model) { return Model::edited(model, merge); }

}  // namespace pith
