#include "compress/container_choice.h"

#include <algorithm>

#include "compress/method.h"
#include "compress/target_profile.h"
#include "core/error.h"

namespace pith {

namespace {

const ModelTensor& first_linear(const Model& model) {
  for (const ModelTensor& t : model.tensors())
    if (is_linear(t.role) && !t.vector) return t;
  throw input_error(model.path().string(), "expected a model with linear layers, it has none");
}

// What it makes runs in pith alone, whose own folders say so.
bool ours_alone(const Step& step) {
  const Method& m = method_or_throw(step.method);
  return m.turn || (m.ours_alone && m.ours_alone(Options(m.name, m.options, step.options)));
}

}  // namespace

Container choose_container(const std::string& named, const std::string& out, const Recipe& recipe, const Model& model) {
  if (!named.empty()) return container_or_throw(named);
  if (out.ends_with(".gguf")) return Container::gguf;
  const Format* wanted = recipe.format;
  if (recipe.store) return Container::pith;
  if (recipe.target) return container_for(*recipe.target, wanted, first_linear(model));
  if (!wanted && recipe.max_bytes) return Container::gguf;
  if (!wanted) return model.is_gguf() ? Container::gguf : Container::hf;
  const Format& format = *wanted;
  const bool apart = std::any_of(recipe.steps.begin(), recipe.steps.end(),
                                 [](const Step& step) { return method_or_throw(step.method).outliers != nullptr; });
  const bool turned = std::any_of(recipe.steps.begin(), recipe.steps.end(), ours_alone);
  if (turned) return Container::pith;
  if (apart) return format.gguf_type >= 0 ? Container::gguf : Container::pith;
  if (format.block != 1 && misfit(Container::bnb, format, first_linear(model)).empty()) return Container::bnb;
  if (format.int_group.bits) return format.int_group.minimum ? Container::mlx : Container::hf;
  const bool dense = format.block == 1;
  if (!dense && format.gguf_type < 0 && !misfit(Container::hf, format, first_linear(model)).empty())
    return Container::pith;
  return dense && !model.is_gguf() ? Container::hf : Container::gguf;
}

void settle_format(Recipe& recipe, const Model& model) {
  if (recipe.format || recipe.max_bytes || !reshapes(recipe)) return;
  if (const Format* own = first_linear(model).weight.format; own->block == 1) recipe.format = own;
}

}  // namespace pith
