#include <algorithm>

#include "compress/allocate/allocate.h"
#include "compress/fold/scale_block.h"
#include "compress/policy.h"
#include "compress/predict.h"
#include "compress/prepare.h"
#include "compress/prune/allocate_sparsity.h"
#include "compress/prune/preflight_notes.h"
#include "compress/reconstruct/finish_block.h"
#include "compress/run_time_choice.h"
#include "compress/target_profile.h"
#include "compress/turned.h"
#include "core/error.h"
#include "io/stage.h"
#include "model/shared.h"

namespace pith {

namespace {

constexpr dim kShardBytes = dim(5) << 30;

// Noise that would touch nothing is a mistake of the caller.
void check_dither(const std::vector<TensorPlan>& plans, const Recipe& recipe) {
  if (!recipe.dither.on) return;
  for (const TensorPlan& plan : plans)
    if (!is_dense(*plan.from) && is_dense(*plan.to)) return;
  throw input_error("dither", "expected a quantized source that is widened to f32, f16 or bf16, no tensor is");
}

void take_steps(const Recipe& recipe, Prepared& p) {
  const auto add = [&](const Step& step) {
    const Method& method = method_or_throw(step.method);
    MethodStep out{&method, Options(method.name, method.options, step.options), step.where};
    if (method.scale) p.scalers.push_back(out);
    if (method.block) p.finishers.push_back(out);
    if (method.layer) p.rounders.push_back(std::move(out));
  };
  add({.method = "rtn", .options = {}, .where = {}});  // what no step names
  for (const Step& step : recipe.steps) add(step);
}

void check_finishers(const Model& model, const Recipe& recipe, const Prepared& p) {
  if (p.finishers.empty()) return;
  const std::string_view name = p.finishers.front().method->name;
  if (!recipe.compressed_prefix)
    throw input_error(name, "expected blocks to be calibrated on the compressed blocks before them, not the original");
  if (model.config().experts > 0)
    throw input_error(name, "expected a model without mixtures of experts: it needs gradients, which they have not");
  for (const ModelTensor& t : model.tensors())
    if (t.part == Part::inner)
      throw Error(Blame::input, name, "expected matrices that are not factored", "use gptq, which rounds factors, too");
}

// Of what would have to be done to a shared matrix and to the differences from it alike.
void check_shared(const Model& model, const Prepared& p) {
  if (!is_shared(model)) return;
  const auto refuse = [](std::string_view method) {
    throw Error(Blame::input, method, "expected blocks with matrices of their own, got ones that share them",
                "use gptq, which rounds shared matrices, too");
  };
  for (const auto* steps : {&p.scalers, &p.finishers})
    if (!steps->empty()) refuse(steps->front().method->name);
  for (const MethodStep& step : p.rounders)
    if (step.method->turn) refuse(step.method->name);
}

// Some matrix that is written follows from what its inputs were like.
bool reads_calibration(const Prepared& p) {
  const auto& plans = p.preflight.tensors;
  return !p.scalers.empty() || !p.finishers.empty() ||
         std::any_of(plans.begin(), plans.end(), [](const TensorPlan& t) { return !is_dense(*t.to); }) ||
         std::any_of(p.rounders.begin(), p.rounders.end(),
                     [](const MethodStep& s) { return s.method->needs != Needs::nothing; });
}

// Tells the rows of the table what the export plan knows.
void join_plans(const Model& model, Prepared& p) {
  auto& plans = p.preflight.tensors;
  for (const ExportTensor& t : p.plan.tensors) {
    PITH_CHECK(t.source < p.plan_of.size() && p.plan_of[t.source] != Prepared::kNone);
    PITH_CHECK(p.plan_for(t).to == t.format);
    t.for_slots([&](const Slot& slot) { plans[p.plan_of[t.source]].bytes_after += slot.size_bytes; });
  }
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (plans[i].bytes_after > 0) continue;
    p.in_head.push_back(i);
    plans[i].bytes_after = plans[i].rows * row_bytes(*plans[i].to, plans[i].cols);
    const ExportTensor itself{.source = plans[i].source, .format = plans[i].to, .rows_from = {}, .slots = {}};
    const SourceRows source(model, itself, {});
    std::vector<float> values(std::size_t(source.rows() * source.cols()));
    source.load(0, source.rows(), values.data());  // for its check
  }
}

// The recipe with the formats that its budget allows; a note for each.
Recipe with_budget(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                   Prepared& p, Progress& progress) {
  Recipe out = recipe;
  out.overrides = allocate_formats(model, recipe, container, target, progress);
  for (const Override& o : out.overrides)
    p.preflight.notes.push_back("within the budget: --override " + override_text(o));
  out.overrides.insert(out.overrides.end(), recipe.overrides.begin(), recipe.overrides.end());
  return out;
}

// Calibration walks the blocks; what stands outside them comes after.
void order_for_calibration(const Model& model, const Recipe& recipe, Prepared& p) {
  if (!p.calibration) return;
  const auto tensor = [&](const ExportTensor& t) -> const ModelTensor& { return model.tensors()[t.source]; };
  auto& tensors = p.plan.tensors;
  const auto outside = std::stable_partition(tensors.begin(), tensors.end(),
                                             [&](const ExportTensor& t) { return tensor(t).layer >= 0; });
  if (!recipe.true_sequential) return;
  std::stable_sort(tensors.begin(), outside, [&](const ExportTensor& a, const ExportTensor& b) {
    return std::pair(tensor(a).layer, input_stage(tensor(a))) < std::pair(tensor(b).layer, input_stage(tensor(b)));
  });
}

// A budget counts the bytes of formats alone.
void check_no_outliers(const Prepared& p) {
  for (const MethodStep& step : p.rounders)
    if (step.method->outliers)
      throw input_error("budget", "expected a method that keeps no outliers apart beside a budget, got {}",
                        step.method->name);
}

// How many values of each row the method keeps apart, by Model::tensors() index.
std::vector<OutlierShape> choose_outliers(const Model& model, Prepared& p) {
  std::vector<OutlierShape> out(model.tensors().size());
  for (TensorPlan& plan : p.preflight.tensors) {
    const ModelTensor& t = model.tensors()[plan.source];
    if (!is_linear_matrix(t) || is_dense(*plan.to)) continue;
    const MethodStep& step = p.rounder_of(t);
    if (!step.method->outliers) continue;
    plan.outliers = out[plan.source] = step.method->outliers(*plan.to, plan.cols, step.options);
    PITH_CHECK(0 <= plan.outliers.per_row && plan.outliers.per_row <= plan.cols);
  }
  return out;
}

// What of each linear layer is pruned, and how it is stored without its zeros, by Model::tensors() index.
std::vector<std::optional<SparseShape>> choose_sparse(const Model& model, const Recipe& recipe, Prepared& p) {
  std::vector<std::optional<SparseShape>> out(model.tensors().size());
  for (TensorPlan& plan : p.preflight.tensors) {
    const ModelTensor& t = model.tensors()[plan.source];
    if (!is_linear_matrix(t)) continue;
    const MethodStep& step = p.rounder_of(t);
    if (step.method->kept) plan.kept = step.method->kept(plan.rows, plan.cols, step.options);
    if (!recipe.store) continue;
    const dim kept = plan.kept >= 0 ? plan.kept : values_not_zero(t);
    plan.sparse = out[plan.source] = SparseShape{*recipe.store, kept};
  }
  return out;
}

// Of which matrices the steps want the Fisher information.
std::vector<std::size_t> fisher_tensors(const Model& model, Prepared& p) {
  std::vector<std::size_t> out;
  for (const ExportTensor& t : p.plan.tensors) {
    const ModelTensor& tensor = model.tensors()[t.source];
    if (is_dense(*t.format) || t.transpose) continue;
    const MethodStep& step = p.rounder_of(tensor);
    if (!step.method->fisher || !step.method->fisher(step.options)) continue;
    if (FisherDiagonal::has_gradient(tensor)) out.push_back(t.source);
  }
  if (!out.empty() && model.config().experts > 0) {
    p.preflight.notes.push_back("mixtures of experts have no gradients here: values weigh as their inputs do");
    out.clear();
  }
  return out;
}

}  // namespace

const MethodStep& Prepared::rounder_of(const ModelTensor& t) const {
  // What is for all is also for embeddings and vectors, which have no other.
  const bool linear = is_linear_matrix(t);
  const auto found = std::find_if(rounders.rbegin(), rounders.rend(), [&](const MethodStep& step) {
    return (step.where.all() || step.where.has(t)) && (linear || !step.method->kept);
  });
  PITH_CHECK(found != rounders.rend());
  return *found;
}

CalibratorOptions calibrator_options(const Prepared& p, const Recipe& recipe, const RunLimits& limits,
                                     const std::filesystem::path& target) {
  CalibratorOptions options{.with_moments = needs_moments(recipe),
                            .with_targets = !p.finishers.empty(),
                            .compressed_prefix = recipe.compressed_prefix};
  options.activations = p.plan.run_time.activations;
  options.group = limits.group;
  if (limits.max_ram_bytes) options.max_ram_bytes = std::min(options.max_ram_bytes, *limits.max_ram_bytes / 4);
  options.scratch_folder = target.parent_path().empty() ? "." : target.parent_path();
  return options;
}

bool written_by_rows(const ExportTensor& t, dim rows, dim cols) {
  return t.slots.size() == 1 && t.slots[0].size_bytes == rows * row_bytes(*t.format, cols);
}

// The recipe with the least sparsity, in tenths of a percent, by which its output stays within its bytes.
static Recipe within_bytes(const Model& model, const Recipe& recipe, Container container) {
  const dim most = *recipe.sparsity.max_bytes;
  Recipe out = recipe;
  const auto bytes_at = [&](dim tenths) {
    out = recipe;
    give_options(out.steps, {fmt::format("sparsity={}.{}", tenths / 10, tenths % 10)});
    Prepared p;
    take_steps(out, p);
    p.preflight.tensors = choose_formats(model, out, container, nullptr);
    std::vector<const Format*> format_of(model.tensors().size(), nullptr);
    for (const TensorPlan& plan : p.preflight.tensors) format_of[plan.source] = plan.to;
    return plan_export(model, container, format_of, "", kShardBytes, {}, {}, {}, choose_sparse(model, out, p))
        .total_bytes();
  };
  dim low = -1, high = 999;  // tenths: too much, within
  if (const dim least = bytes_at(high); least > most)
    throw Error(Blame::input, "budget",
                fmt::format("expected at least {} bytes, which 99.9 % zeros take, got {}", least, most),
                recipe.store ? "name a smaller --format" : "--store bitmask leaves zeros out");
  while (high - low > 1) {
    const dim middle = (low + high) / 2;
    (bytes_at(middle) > most ? low : high) = middle;
  }
  bytes_at(high);
  return out;
}

Prepared prepare(const Model& source, const Model& model, const Recipe& given, Container container,
                 const std::filesystem::path& target, Progress& progress) {
  Prepared p;
  const Recipe recipe = with_sparsity(model, given.sparsity.max_bytes ? within_bytes(model, given, container) : given,
                                      p.preflight.notes, progress);
  if (recipe.true_sequential && !recipe.compressed_prefix)
    throw input_error("true_sequential", "expected blocks to be calibrated on the compressed blocks before them, too");
  check_turned_source(model, recipe);
  take_steps(recipe, p);
  if (recipe.max_bytes) check_no_outliers(p);
  p.preflight.notes.insert(p.preflight.notes.begin(), model.notes().begin(), model.notes().end());
  auto& plans = p.preflight.tensors;
  if (recipe.adapter) p.adapter.emplace(LoraAdapter::open(*recipe.adapter, model));
  plans = choose_formats(model, recipe.max_bytes ? with_budget(model, recipe, container, target, p, progress) : recipe,
                         container, p.adapter_or_null());
  check_dither(plans, recipe);
  p.calibration = recipe.calibration;
  const RunTime run_time = run_time_of(model, recipe, container, p.preflight.notes);
  const bool new_scales = run_time.activations.plan().fixed && recipe.activations;
  if ((needs_text(recipe) || new_scales) && !p.calibration) p.calibration.emplace();
  if (!new_scales && !reads_calibration(p) && reshapes(recipe)) p.calibration.reset();  // it was for that alone
  check_finishers(model, recipe, p);
  check_shared(model, p);
  if (recipe.importance_file) p.importance = Importance::load(*recipe.importance_file, model);

  p.plan_of.assign(model.tensors().size(), Prepared::kNone);
  std::vector<const Format*> format_of(model.tensors().size(), nullptr);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    format_of[plans[i].source] = plans[i].to;
    p.plan_of[plans[i].source] = i;
  }
  p.plan = plan_export(model, container, format_of, target.filename().string(), kShardBytes, choose_outliers(model, p),
                       run_time, choose_turns(model, p), choose_sparse(model, recipe, p));
  if (recipe.target) check_target(*recipe.target, container, plans);
  order_for_calibration(model, recipe, p);
  join_plans(model, p);
  const bool prunes = std::any_of(plans.begin(), plans.end(), [](const TensorPlan& t) { return t.kept >= 0; });
  if (prunes) check_pruning(model, recipe, p);
  for (std::string& note : notes_on_zeros(plans, container)) p.preflight.notes.insert(p.preflight.notes.begin(), note);
  p.fisher = fisher_tensors(model, p);
  if (!p.scalers.empty())
    for (std::string& note : notes_on_scales(model, p)) p.preflight.notes.push_back(std::move(note));
  for (const ModelTensor& t : source.tensors()) p.preflight.source_bytes += bytes_of(t);
  p.preflight.output_bytes = p.plan.total_bytes();
  p.preflight.disk_free_bytes = Stage::free_bytes(target);
  predict(model, recipe, p);
  return p;
}

Preflight preflight(const Model& source, const Recipe& recipe, Container container, const std::filesystem::path& target,
                    Progress& progress) {
  const std::optional<Model> reshaped = reshaped_model(source, recipe, container, progress);
  const Model& model = reshaped ? *reshaped : source;
  return prepare(source, model, recipe, container, target, progress).preflight;
}

}  // namespace pith
