#include "compress/policy.h"
#include "compress/prepare.h"
#include "core/error.h"
#include "model/factored.h"
#include "model/shared.h"

namespace pith {

namespace {

void check_reshaping(const Model& source, const Recipe& recipe, const Step& step) {
  const auto refuse = [&](std::string_view what) {
    throw Error(Blame::input, step.method, fmt::format("expected none with {}", what), "do that in a run before");
  };
  if (!step.where.all()) throw input_error(step.method, "expected it for the whole model");
  if (recipe.adapter) refuse("an adapter, whose factors stay as they are");
  if (recipe.importance_file) refuse("importance that was measured on the model as it was");
  for (const ModelTensor& t : source.tensors())
    if (is_linear(t.role) && !is_dense(*t.weight.format) && !recipe.allow_requantize) refuse("a quantized source");
}

}  // namespace

std::optional<Model> reshaped_model(const Model& source, const Recipe& recipe, Container container,
                                    Progress& progress) {
  std::optional<Model> now;
  std::optional<CalibrationTokens> tokens;
  const auto draw = [&]() -> const CalibrationTokens& {
    if (!tokens) tokens = calibration_tokens(now ? *now : source, recipe.calibration.value_or(CalibrationChoice{}));
    return *tokens;
  };
  const Step* rounds = nullptr;
  for (const Step& step : recipe.steps) {
    const Method& method = method_or_throw(step.method);
    if (!method.prepares()) rounds = &step;
    if (!method.reshape) continue;
    check_reshaping(source, recipe, step);
    if (rounds)
      throw Error(Blame::input, step.method,
                  fmt::format("expected it before {}, which works on single values and comes last", rounds->method),
                  "change the order, or do it in a run of its own");
    const Options options(method.name, method.options, step.options);
    const Model& before = now ? *now : source;
    Model after = method.reshape({source, before, draw, progress}, options);
    if (after.config().vocab != before.config().vocab) tokens.reset();  // the ids are others
    now.reset();
    now.emplace(std::move(after));
  }
  const auto become = [&](Model other) {
    now.reset();
    now.emplace(std::move(other));
  };
  if (container != Container::pith && is_factored(now ? *now : source)) become(merged_model(now ? *now : source));
  if (container != Container::pith && is_shared(now ? *now : source)) become(unshared_model(now ? *now : source));
  return now;
}

}  // namespace pith
