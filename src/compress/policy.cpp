#include "compress/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "formats/grid.h"

namespace pith {

namespace {

// Faults of one kind over all tensors, for one message.
struct Faults {
  static constexpr std::size_t kShown = 12;
  std::vector<std::string> list;
  std::string text() const {
    const auto shown = std::span(list).first(std::min(kShown, list.size()));
    std::string out = fmt::format("{}", fmt::join(shown, "; "));
    if (list.size() > kShown) out += fmt::format("; and {} more", list.size() - kShown);
    return out;
  }
};

bool is_matrix(const ModelTensor& t) { return t.part != Part::bias && !t.vector; }

bool holds(Container container, const Format& f, const ModelTensor& t) { return misfit(container, f, t).empty(); }

bool is_head_or_embedding(Role role) { return role == Role::embed || role == Role::lm_head; }

struct Wish {
  const Format* format;
  std::string why;
};

// What a tensor that no method touches is stored as.
Wish kept(const ModelTensor& t, Container container) {
  const Format& from = *t.weight.format;
  if (container == Container::gguf) {
    const bool same = t.role == Role::other && is_matrix(t) && holds(container, from, t);
    return {same ? &from : &f32_format(), "kept"};
  }
  if (holds(container, from, t)) return {&from, "kept"};
  return {&f16_format(), "kept; its own type has no place in a Hugging Face folder"};
}

// The smallest format of the container that has this tensor's grid; null when there is none.
const Format* same_grid(const ModelTensor& t, Container container) {
  const Format* best = nullptr;
  const auto bytes = [&](const Format& f) { return row_bytes(f, t.weight.cols); };
  for (const Format* f : all_formats())
    if (moves_exactly(*t.weight.format, *f, t.weight.cols) && holds(container, *f, t) &&
        (!best || bytes(*f) < bytes(*best)))
      best = f;
  return best;
}

// Where no format is asked for: values stay. Tables of lookups widen where the container has no grid for them.
Wish unchanged(const ModelTensor& t, Container container) {
  const Format& from = *t.weight.format;
  if (t.outliers) return {&f16_format(), "widened, with its outliers"};
  if (holds(container, from, t)) return {&from, "kept"};
  if (const Format* same = same_grid(t, container)) return {same, fmt::format("the grid of {}", from.name)};
  if (is_dense(from)) return {&f16_format(), ""};
  if (is_head_or_embedding(t.role)) return {&f16_format(), fmt::format("widened; no exact place for {}", from.name)};
  return {&from, ""};  // reported as a misfit
}

const Format& default_embed_format(const Recipe& recipe, const ModelTensor& t, Container container) {
  const Format& format = *recipe.format;
  if (is_dense(format)) return format;
  if (is_folder(container)) return is_dense(*t.weight.format) ? *t.weight.format : f16_format();
  constexpr dim kAnyCols = 256;
  return bits_per_weight(format, kAnyCols) < 6 ? format_or_throw("q6_k") : format;
}

Wish wish_for(const ModelTensor& t, const Recipe& recipe, Container container) {
  Wish wish;
  const bool asked = is_head_or_embedding(t.role) && recipe.embed_format;
  if (!recipe.format && !asked && is_matrix(t) && (is_linear(t.role) || is_head_or_embedding(t.role)))
    wish = unchanged(t, container);
  else if (is_matrix(t) && is_linear(t.role))
    wish = {recipe.format, ""};
  else if (is_matrix(t) && is_head_or_embedding(t.role))
    wish = {recipe.embed_format ? recipe.embed_format : &default_embed_format(recipe, t, container), ""};
  else
    wish = kept(t, container);
  if (is_difference(t) && !recipe.format && recipe.max_bytes) wish = {&f16_format(), "a difference"};
  for (const Override& o : recipe.overrides)
    if (o.where.has(t)) wish = {o.format, "override"};
  return wish;
}

// Follows the chain of fallbacks; null when it ends.
const Format* fitting(const Format* format, dim cols) {
  for (int step = 0; format && !fits(*format, cols) && step < 16; ++step)
    format = format->fallback.empty() ? nullptr : find_format(format->fallback);
  return format && fits(*format, cols) ? format : nullptr;
}

TensorPlan plan_tensor(std::size_t index, const ModelTensor& t, const Recipe& recipe, Container container,
                       Faults& misfits) {
  Wish wish = wish_for(t, recipe, container);
  const Encoded& w = t.weight;
  TensorPlan plan{.source = index,
                  .name = t.name,
                  .role = t.role,
                  .layer = t.layer,
                  .rows = w.rows,
                  .cols = w.cols,
                  .from = w.format,
                  .to = wish.format,
                  .wanted = wish.format,
                  .why = std::move(wish.why),
                  .bytes_before = bytes_of(t),
                  .bytes_after = 0,
                  .outliers = {}};
  const std::string what = fmt::format("{} ({} x {})", t.name, w.rows, w.cols);
  if (!fits(*plan.to, w.cols)) {
    const auto* other = recipe.allow_fallback ? fitting(plan.to, w.cols) : nullptr;
    const std::string reason = fmt::format("{} columns are not a multiple of {}", w.cols, plan.wanted->block);
    if (!other) {
      misfits.list.push_back(fmt::format("{}: {} does not fit, {}", what, plan.wanted->name, reason));
      return plan;
    }
    plan.to = other;
    plan.why = fmt::format("{} columns are not a multiple of {}'s {}", w.cols, plan.wanted->name, plan.wanted->block);
  } else if (!holds(container, *plan.to, t))
    misfits.list.push_back(fmt::format("{}: {} has no place in {}, which takes {}", what, plan.to->name,
                                       container_name(container), misfit(container, *plan.to, t)));
  return plan;
}

std::string_view hint_for(const Recipe& recipe) {
  if (!recipe.format) return "these values have no exact place there; name a --format and --allow-requantize";
  return recipe.allow_fallback ? "name another format for them" : "allow fallbacks, or name another format";
}

bool left_out(const ModelTensor& t, const Model& model, Container container) {
  if (t.role == Role::lm_head && t.part == Part::weight && model.config().tied_embeddings) return true;
  return (t.role == Role::rope_factors || t.role == Role::rope_long_factors) &&
         is_folder(container);  // config.json says it there
}

// A selection that selects nothing is a mistake of the caller.
void check_selection(std::string_view what, const Selection& where, const Model& model, Container container) {
  const auto hit = std::any_of(model.tensors().begin(), model.tensors().end(),
                               [&](const ModelTensor& t) { return where.has(t) && !left_out(t, model, container); });
  if (hit) return;
  std::vector<std::string_view> roles;
  for (const Role role : where.roles) roles.push_back(role_name(role));
  const bool head = model.config().tied_embeddings && std::count(where.roles.begin(), where.roles.end(), Role::lm_head);
  throw Error(
      Blame::input, std::string(what),
      fmt::format("expected {} in the layers named to be in the model, no tensor matches (it has {} layers)",
                  roles.empty() ? "linear layers" : fmt::format("{}", fmt::join(roles, "|")), model.config().layers),
      head ? "the head is the embedding in this model; name embed" : "");
}

void check_selections(const Model& model, const Recipe& recipe, Container container) {
  for (const Override& o : recipe.overrides) check_selection("override", o.where, model, container);
  for (const Step& step : recipe.steps)
    if (!step.where.all()) check_selection(step.method, step.where, model, container);
}

void check_requantization(const Model& model, const std::vector<TensorPlan>& plans, const Recipe& recipe,
                          const LoraAdapter* adapter) {
  if (recipe.allow_requantize) return;
  const auto exact = [&](const TensorPlan& p) {
    return moves_exactly(*p.from, *p.to, p.cols) && !model.tensors()[p.source].outliers &&
           !(adapter && adapter->adapts(p.source));
  };
  Faults faults;
  for (const TensorPlan& p : plans)
    if (!is_dense(*p.from) && !is_dense(*p.to) && !exact(p))
      faults.list.push_back(fmt::format("{} from {} to {}", p.name, p.from->name, p.to->name));
  if (!faults.list.empty())
    throw Error(Blame::input, "requantize",
                fmt::format("expected a source in f32, f16 or bf16, {} tensors are quantized already: {}",
                            faults.list.size(), faults.text()),
                "errors add up; start from the full-precision model, or allow requantizing");
}

}  // namespace

bool is_dense(const Format& format) {
  return &format == &f32_format() || &format == &f16_format() || &format == &bf16_format();
}

std::vector<TensorPlan> choose_formats(const Model& model, const Recipe& recipe, Container container,
                                       const LoraAdapter* adapter) {
  check_selections(model, recipe, container);
  std::vector<TensorPlan> plans;
  Faults misfits;
  const auto tensors = model.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (left_out(tensors[i], model, container)) continue;
    plans.push_back(plan_tensor(i, tensors[i], recipe, container, misfits));
    if (model.is_gguf() && tensors[i].expert >= 0)  // the experts of a layer share a name
      plans.back().name += fmt::format("[{}]", tensors[i].expert);
  }
  if (!misfits.list.empty())
    throw Error(Blame::input, "formats",
                fmt::format("{} tensors cannot be stored as asked: {}", misfits.list.size(), misfits.text()),
                hint_for(recipe));
  check_requantization(model, plans, recipe, adapter);
  return plans;
}

}  // namespace pith
