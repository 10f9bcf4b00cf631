// The network that computes with what is learned, and its gradients.
#include <algorithm>

#include "core/parallel.h"
#include "formats/format.h"
#include "model/forward_reserve.h"
#include "train/trainable_impl.h"

namespace pith {

const Format* Trainable::Impl::format_of(const Parameter& p) const {
  return p.kind == ParameterKind::matrix && p.tensor < rounded.size() ? rounded[p.tensor] : nullptr;
}

void Trainable::Impl::place_formed(const std::vector<Parameter>& parameters) {
  of_layer.resize(blocks.size() + 1);
  std::vector<dim> values(of_layer.size(), 0), at;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto place = std::size_t(model.tensors()[parameters[i].tensor].layer + 1);
    of_layer[place].push_back(i);
    at.push_back(values[place]);
    values[place] += parameters[i].size();
  }
  outer_formed = Buffer(values[0] * dim(sizeof(float)));
  block_formed = Buffer(*std::max_element(values.begin() + 1, values.end()) * dim(sizeof(float)));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const bool is_outer = model.tensors()[parameters[i].tensor].layer < 0;
    formed.push_back((is_outer ? outer_formed : block_formed).as<float>() + at[i]);
  }
}

void Trainable::Impl::use_matrix(std::size_t parameter, Parameter& p) {
  const ModelTensor& t = model.tensors()[p.tensor];
  const bool copied = bf16 || format_of(p);
  Encoded e;
  e.format = bf16 ? &bf16_format() : &f32_format();
  e.rows = p.rows;
  e.cols = p.cols;
  if (copied) e.owned = Buffer(p.rows * row_bytes(*e.format, p.cols));
  e.data = copied ? e.owned.data() : p.values.data();
  if (t.part == Part::inner) {
    const Weight* weight = &weights.emplace_back(std::move(e));
    if (copied) copies[parameter] = &std::get<Encoded>(weights.back());
    Block& block = blocks[std::size_t(t.layer)];
    replace_inner(block, linear(t)->inner, weight);
    for (const ModelTensor& reader : model.tensors())
      if (model.inner_of(reader) == &t)
        find_gradient(wanted[std::size_t(t.layer)], reader.role)->inner = formed[parameter];
    return;
  }
  const Weight* before = linear(t)->weight;
  const Weight* weight = &weights.emplace_back(std::move(e));
  if (copied) copies[parameter] = &std::get<Encoded>(weights.back());
  linear(t)->weight = weight;
  float* gradient = formed[parameter];
  if (t.role == Role::embed) {
    outer.embed = gradient;
    if (network.lm_head.weight == before) {  // tied
      network.lm_head.weight = weight;
      outer.lm_head = gradient;
    }
  } else if (t.role == Role::pos_embed) {
    outer.pos_embed = gradient;
  } else if (t.role == Role::lm_head) {
    outer.lm_head = gradient;
  } else {
    find_gradient(wanted[std::size_t(t.layer)], t.role)->weight = gradient;
  }
}

void Trainable::Impl::use_vector(std::size_t parameter, Parameter& p) {
  const ModelTensor& t = model.tensors()[p.tensor];
  float *values = p.values.as<float>(), *gradient = formed[parameter];
  const bool bias = t.part == Part::bias;
  if (Norm* of = norm(t)) {
    Gradient& g = t.layer < 0 ? outer.output_norm : *norm_in(wanted[std::size_t(t.layer)], t);
    (bias ? of->bias : of->weight) = values;
    (bias ? g.bias : g.weight) = gradient;
    return;
  }
  linear(t)->bias = values;
  find_gradient(wanted[std::size_t(t.layer)], t.role)->bias = gradient;
}

void Trainable::Impl::use_low_rank(std::size_t parameter, Parameter& a, Parameter& b, float scale) {
  const ModelTensor& t = model.tensors()[a.tensor];
  linear(t)->low_rank =
      &terms.emplace_back(LowRankTerm{a.values.as<float>(), b.values.as<float>(), a.rows, b.rows, a.cols, scale});
  Gradient& g = *find_gradient(wanted[std::size_t(t.layer)], t.role);
  g.low_rank_a = formed[parameter];
  g.low_rank_b = formed[parameter + 1];
}

void Trainable::Impl::use_scales(std::size_t parameter, const Parameter& p) {
  const ModelTensor& t = model.tensors()[p.tensor];
  GridScales& own = scales.try_emplace(parameter, t, bf16 ? bf16_format() : f32_format()).first->second;
  Encoded view;
  view.format = own.weight().format;
  view.rows = own.weight().rows;
  view.cols = own.weight().cols;
  view.data = own.weight().data;
  linear(t)->weight = &weights.emplace_back(std::move(view));
  find_gradient(wanted[std::size_t(t.layer)], t.role)->weight = own.gradient();
}

void Trainable::Impl::use_magnitude(std::size_t parameter, const Parameter& p) {
  const ModelTensor& t = model.tensors()[p.tensor];
  RowLengths& own = lengths.try_emplace(parameter, t).first->second;
  terms.back().row_factors = own.factors();
  find_gradient(wanted[std::size_t(t.layer)], t.role)->row_factors = own.gradient();
}

void Trainable::make_network() {
  impl_->copies.resize(parameters_.size());
  impl_->place_formed(parameters_);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& p = parameters_[i];
    if (p.kind == ParameterKind::matrix) impl_->use_matrix(i, p);
    if (p.kind == ParameterKind::vector) impl_->use_vector(i, p);
    if (p.kind == ParameterKind::low_rank_a) impl_->use_low_rank(i, p, parameters_[i + 1], scale_);
    if (p.kind == ParameterKind::scale) impl_->use_scales(i, p);
    if (p.kind == ParameterKind::magnitude) impl_->use_magnitude(i, p);
  }
}

void Trainable::clear_gradients() {
  for (Parameter& p : parameters_) p.clear_gradient();
}

void Trainable::Impl::clear_formed(dim layer) {
  Buffer& all = layer < 0 ? outer_formed : block_formed;
  auto* values = all.as<float>();
  parallel_ranges(all.size_bytes() / dim(sizeof(float)), dim(1) << 16,
                  [&](dim begin, dim end) { std::fill(values + begin, values + end, 0.0f); });
  for (const std::size_t i : parameters_of(layer)) {
    if (const auto own = scales.find(i); own != scales.end()) own->second.clear();
    if (const auto own = lengths.find(i); own != lengths.end()) own->second.clear();
  }
}

void Trainable::add_formed(dim layer, const Together& together) {
  for (const std::size_t i : impl_->parameters_of(layer)) {
    Parameter& p = parameters_[i];
    float* formed = impl_->formed[i];
    if (const auto own = impl_->scales.find(i); own != impl_->scales.end()) own->second.add_to(formed);
    if (const auto own = impl_->lengths.find(i); own != impl_->lengths.end()) own->second.add_to(formed);
    if (together.group.size() > 1) continue;
    const auto n = std::size_t(p.size());
    together.group.add_in_order(std::span<const float>(formed, n), {p.gradient.as<float>(), n}, together.parts);
  }
  if (together.group.size() > 1) impl_->exchange_formed(parameters_, layer, together);
}

// All of a block at once: processes wait for one another at each exchange.
void Trainable::Impl::exchange_formed(std::vector<Parameter>& parameters, dim layer, const Together& together) {
  const std::vector<std::size_t>& own = parameters_of(layer);
  if (own.empty()) return;
  dim n = 0;
  for (const std::size_t i : own) n += parameters[i].size();
  float* all = reserve(sums, n);
  float* to = all;
  for (const std::size_t i : own) to = std::copy_n(parameters[i].gradient.as<float>(), parameters[i].size(), to);
  // They were formed one after another in the same order.
  together.group.add_in_order(std::span<const float>(formed[own[0]], std::size_t(n)), {all, std::size_t(n)},
                              together.parts);
  const float* from = all;
  for (const std::size_t i : own) {
    std::copy_n(from, parameters[i].size(), parameters[i].gradient.as<float>());
    from += parameters[i].size();
  }
}

double Trainable::add_gradients(ModelBackward& backward, std::span<const std::vector<Token>> sequences,
                                std::span<const dim> places, TokenLoss& loss, const Together& together) {
  impl_->clear_formed(-1);
  const auto wanted = [&](dim layer) {
    impl_->clear_formed(layer);
    return impl_->wanted[std::size_t(layer)];
  };
  const double value =
      backward.run(sequences, places, loss, impl_->outer, wanted, [&](dim layer) { add_formed(layer, together); });
  add_formed(-1, together);
  return value;
}

void Trainable::add_gradients_of_others(const Together& together) {
  for (auto layer = dim(impl_->blocks.size()) - 1; layer >= -1; --layer) add_formed(layer, together);
}

}  // namespace pith
