#include "train/trainable.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/half.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "formats/format.h"
#include "model/shared.h"
#include "ops/dense_product.h"
#include "train/trainable_impl.h"

namespace pith {

std::size_t Trainable::add(std::size_t tensor, ParameterKind kind, dim rows, dim cols) {
  parameters_.emplace_back(tensor, kind, rows, cols, optimizer_);
  return parameters_.size() - 1;
}

// A tensor's own values.
static void load(const Model& model, Parameter& p) {
  const ModelTensor& t = model.tensors()[p.tensor];
  parallel_for(
      p.rows, [&](dim r) { decode_row(t, r, p.values.as<float>() + r * p.cols); }, (dim(1) << 16) / (p.cols + 1) + 1);
  model.release(t);
}

void Trainable::add_full(const Model& model) {
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    const bool in_block = t.layer >= 0 && is_linear(t.role), matrix = t.part != Part::bias;
    if (matrix && (in_block || is_embedding(t.role))) {
      if (t.turn)
        throw Error(Blame::input, t.name, "expected matrices that are not turned", "train before they are turned");
      load(model, parameters_[add(i, ParameterKind::matrix, t.weight.rows, t.weight.cols)]);
    } else if ((in_block && t.part == Part::bias) || impl_->norm(t)) {
      load(model, parameters_[add(i, ParameterKind::vector, t.weight.rows, t.weight.cols)]);
    }
  }
}

void Trainable::add_norms(const Model& model) {
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    if (impl_->norm(t)) load(model, parameters_[add(i, ParameterKind::vector, t.weight.rows, t.weight.cols)]);
  }
  if (parameters_.empty()) throw input_error("train", "expected a model with norms that have weights, got one without");
}

void Trainable::add_scales(const Model& model) {
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    if (!has_grid_scales(t)) continue;
    Parameter& p = parameters_[add(i, ParameterKind::scale, t.weight.rows, grid_groups(t))];
    std::fill_n(p.values.as<float>(), p.size(), 1.0f);
  }
  if (parameters_.empty())
    throw Error(Blame::input, "scales", "expected a model with matrices whose groups have a scale each, found none",
                "formats such as int2_g64, int4_g128_sym, q4_0; `pith inspect` shows the model's");
}

void Trainable::add_lora(const Model& model, const TrainChoice& choice) {
  if (choice.rank < 1 || !(choice.alpha > 0))
    throw input_error("lora", "expected a rank of 1 or more and an alpha above 0, got {} and {}", choice.rank,
                      choice.alpha);
  scale_ = float(choice.alpha / double(choice.rank));
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    const bool asked =
        choice.roles.empty() || std::find(choice.roles.begin(), choice.roles.end(), t.role) != choice.roles.end();
    if (t.layer < 0 || !is_linear_matrix(t) || t.part == Part::inner || !asked) continue;
    const ModelTensor* inner = model.inner_of(t);
    const dim rank = choice.rank, cols = (inner ? *inner : t).weight.cols;
    if (rank > std::min(t.weight.rows, cols))
      throw input_error(t.name, "expected a rank of at most its smaller side {}, got {}", std::min(t.weight.rows, cols),
                        rank);
    Parameter& a = parameters_[add(i, ParameterKind::low_rank_a, rank, cols)];
    const double bound = 1 / std::sqrt(double(cols));
    for (dim k = 0; k < a.size(); ++k)
      a.values.as<float>()[k] = float(bound * (2 * double(uniform_at(mix64(choice.seed, i), std::uint64_t(k))) - 1));
    add(i, ParameterKind::low_rank_b, t.weight.rows, rank);  // 0: the first step starts from the base itself
    if (!choice.dora) continue;
    if (inner)
      throw Error(Blame::input, t.name, "expected matrices that are not factored with dora, got one that is",
                  "plain --lora adapts it");
    Parameter& lengths = parameters_[add(i, ParameterKind::magnitude, t.weight.rows, 1)];
    std::copy_n(row_lengths(t).data(), lengths.rows, lengths.values.as<float>());
  }
  if (parameters_.empty())
    throw Error(Blame::input, "lora", "expected roles of which the model has matrices, found none",
                "`pith inspect` shows the roles");
}

Trainable::Trainable(const Model& model, const TrainChoice& choice) : impl_(std::make_unique<Impl>(model)) {
  if (model.config().experts > 0)
    throw Error(Blame::input, "train", "expected a model without mixtures of experts, got one",
                "training them is not supported");
  if (is_shared(model))
    throw Error(Blame::input, "train", "expected blocks with matrices of their own, got ones that share them",
                "convert it to gguf or hf first: that gives each block its own");
  optimizer_ = choice.optimizer;
  impl_->bf16 = choice.bf16 && has_bf16_products();
  impl_->rounded = choice.rounded;
  impl_->activations = choice.activations;
  if (choice.activations.plan().on()) impl_->network.act = &impl_->activations.plan();
  if (!choice.rounded.empty() && choice.what != TrainWhat::full)
    throw input_error("train", "expected all values to be learned where they are rounded, not adapters or norms");
  if (choice.what == TrainWhat::full) add_full(model);
  if (choice.what == TrainWhat::norms) add_norms(model);
  if (choice.what == TrainWhat::scales) add_scales(model);
  if (choice.what == TrainWhat::lora) add_lora(model, choice);
  make_network();
  publish();
}
Trainable::~Trainable() = default;

const Network& Trainable::network() const { return impl_->network; }

dim Trainable::count() const {
  dim sum = 0;
  for (const Parameter& p : parameters_) sum += p.size();
  return sum;
}

dim Trainable::size_bytes() const {
  dim sum = impl_->block_formed.size_bytes() + impl_->outer_formed.size_bytes();
  for (const Parameter& p : parameters_) sum += p.size_bytes();
  for (const Encoded* e : impl_->copies) sum += e ? e->owned.size_bytes() : 0;
  for (const auto& [i, scales] : impl_->scales) sum += scales.size_bytes();
  for (const auto& [i, lengths] : impl_->lengths) sum += lengths.size_bytes();
  return sum;
}

static void publish_rounded(const Parameter& p, const Format& format, Encoded& copy) {
  const dim each = row_bytes(*copy.format, p.cols);
  parallel_ranges(p.rows, (dim(1) << 15) / p.cols + 1, [&](dim begin, dim end) {
    std::vector<std::byte> codes(std::size_t(row_bytes(format, p.cols)));
    std::vector<float> row(std::size_t(p.cols));
    for (dim r = begin; r < end; ++r) {
      format.encode(format, p.values.as<float>() + r * p.cols, nullptr, p.cols, RangeSearch{}, codes.data());
      format.decode(format, codes.data(), p.cols, row.data());
      copy.format->encode(*copy.format, row.data(), nullptr, p.cols, RangeSearch{}, copy.owned.data() + r * each);
    }
  });
}

void Trainable::publish() {
  for (auto& [i, scales] : impl_->scales) scales.publish(parameters_[i].values.as<float>());
  for (auto& [i, lengths] : impl_->lengths)  // the factors before it are its term
    lengths.publish(parameters_[i].values.as<float>(), parameters_[i - 2], parameters_[i - 1], scale_);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!impl_->copies[i]) continue;
    if (const Format* format = impl_->format_of(parameters_[i])) {
      publish_rounded(parameters_[i], *format, *impl_->copies[i]);
      continue;
    }
    const auto* from = parameters_[i].values.as<float>();
    auto* to = impl_->copies[i]->owned.as<std::uint16_t>();
    parallel_ranges(parameters_[i].size(), 1 << 15, [&](dim begin, dim end) {
      for (dim k = begin; k < end; ++k) to[k] = f32_to_bf16(from[k]);
    });
  }
}

std::vector<Parameter> Trainable::take_values() {
  for (Parameter& p : parameters_) {
    p.gradient = Buffer();
    p.moments = Moments();
  }
  return std::move(parameters_);
}

}  // namespace pith
