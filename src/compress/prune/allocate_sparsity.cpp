#include "compress/prune/allocate_sparsity.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "compress/calibrate/calibrator.h"
#include "compress/prune/pattern.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

using Kind = SparsityPlan::Kind;
constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"uniform", Kind::uniform}, {"owl", Kind::owl}, {"sensitivity", Kind::sensitivity}, {"global", Kind::global}};
constexpr double kMostShare = 0.999;
constexpr dim kPiece = 64;  // rows that are counted together

// Scores of a layer: how many there are of each size, to 2^-7 of it (the upper half of a float's bits).
struct Scores {
  std::vector<dim> counts = std::vector<dim>(std::size_t(1) << 15);
  dim values = 0;
  double sum = 0, squares = 0;

  double share_below(double limit) const {
    if (!(limit > 0)) return 0;
    const auto bits = std::bit_cast<std::uint32_t>(float(std::min(limit, 3e38))) >> 16;
    dim below = 0;
    for (std::size_t i = 0; i < bits; ++i) below += counts[i];
    return double(below) / double(std::max<dim>(1, values));
  }
};

void add_scores(const ModelTensor& t, const std::vector<float>& norms, Scores& out) {
  const dim rows = t.weight.rows, cols = t.weight.cols, pieces = (rows + kPiece - 1) / kPiece;
  struct Part {
    std::vector<std::uint32_t> bins;
    double sum = 0, squares = 0;
  };
  std::vector<Part> parts(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](dim p) {
    Part& part = parts[std::size_t(p)];
    part.bins.resize(out.counts.size());
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (dim r = p * kPiece; r < std::min(rows, (p + 1) * kPiece); ++r) {
      decode_row(t, r, row.data());
      for (std::size_t c = 0; c < row.size(); ++c) {
        const float score = std::fabs(row[c]) * (norms.empty() ? 1.0f : norms[c]);
        ++part.bins[std::bit_cast<std::uint32_t>(score) >> 16 & 0x7fff];
        part.sum += double(score);
        part.squares += double(score) * double(score);
      }
    }
  });
  for (const Part& part : parts) {
    for (std::size_t i = 0; i < out.counts.size(); ++i) out.counts[i] += part.bins[i];
    out.sum += part.sum;
    out.squares += part.squares;
  }
  out.values += rows * cols;
}

std::vector<float> norms_of(const InputStats* stats) {
  std::vector<float> norms;
  if (!stats || stats->tokens == 0) return norms;
  for (const float square : stats->mean_squares()) norms.push_back(std::sqrt(square));
  return norms;
}

std::vector<Scores> scores_of(const Model& model, const Recipe& recipe, Progress& progress) {
  const dim layers = model.config().layers;
  std::vector<Scores> out(static_cast<std::size_t>(layers));
  std::optional<Calibrator> calibrator;
  if (recipe.sparsity.kind != Kind::global)
    calibrator.emplace(model, calibration_tokens(model, recipe.calibration.value_or(CalibrationChoice{})),
                       CalibratorOptions{.compressed_prefix = false});
  progress.begin("scores of layers", layers);
  for (dim layer = 0; layer < layers; ++layer) {
    if (calibrator) calibrator->gather(layer, progress);
    for (const ModelTensor& t : model.tensors()) {
      if (t.layer != layer || !is_linear_matrix(t)) continue;
      add_scores(t, norms_of(calibrator ? calibrator->find(t) : nullptr), out[std::size_t(layer)]);
      model.release(t);
    }
    progress.advance(1, fmt::format("layer {}", layer));
  }
  return out;
}

double mean_of(std::span<const double> shares, std::span<const double> values) {
  double sum = 0, all = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    sum += shares[i] * values[i];
    all += values[i];
  }
  return sum / std::max(all, 1.0);
}

// One limit for all layers, in each times its unit, by bisection of its logarithm; shares stay within `spread`.
std::vector<double> shares_by_limit(std::span<const Scores> scores, std::span<const double> units,
                                    std::span<const double> values, double share, double spread) {
  double low = -200, high = 200;
  std::vector<double> shares(scores.size());
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    for (std::size_t i = 0; i < scores.size(); ++i)
      shares[i] = std::clamp(scores[i].share_below(std::exp(middle) * units[i]), std::max(0.0, share - spread),
                             std::min(kMostShare, share + spread));
    (mean_of(shares, values) < share ? low : high) = middle;
  }
  return shares;
}

std::vector<double> shares_of(const std::vector<Scores>& scores, const SparsityPlan& plan, double share) {
  std::vector<double> values, outliers, units;
  for (const Scores& s : scores) {
    const double n = double(std::max<dim>(1, s.values));
    values.push_back(double(s.values));
    outliers.push_back(100 * (1 - s.share_below(plan.outlier * s.sum / n)));
    units.push_back(plan.kind == Kind::global ? 1 : std::sqrt(s.squares / n));
  }
  if (plan.kind == Kind::owl) return owl_shares(outliers, values, share, plan.spread / 100);
  return shares_by_limit(scores, units, values, share, plan.kind == Kind::global ? 1 : plan.spread / 100);
}

// The step that prunes, for all layers. Error(input)
const Step& pruning_step(const Recipe& recipe) {
  const Step* found = nullptr;
  for (const Step& step : recipe.steps)
    if (method_or_throw(step.method).kept) {
      if (found || !step.where.all())
        throw input_error("allocation", "expected one step that prunes, for all layers, got more");
      found = &step;
    }
  if (!found) throw input_error("allocation", "expected a step that prunes, got {}", steps_text(recipe));
  return *found;
}

}  // namespace

SparsityPlan::Kind sparsity_kind_or_throw(std::string_view name) {
  std::string names;
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw input_error("allocation", "expected one of {}, got '{}'", names, name);
}

std::string_view sparsity_kind_name(SparsityPlan::Kind wanted) {
  for (const auto& [name, kind] : kKinds)
    if (kind == wanted) return name;
  throw InternalError("an allocation without a name");
}

std::vector<double> owl_shares(std::span<const double> outliers, std::span<const double> values, double share,
                               double spread) {
  const auto [least, most] = std::minmax_element(outliers.begin(), outliers.end());
  std::vector<double> shares;
  for (const double o : outliers)
    shares.push_back(share - (*most > *least ? (o - *least) / (*most - *least) * 2 * spread : 0));
  for (int round = 0; round < 50; ++round) {  // each clamped share leaves the rest to the others
    const double missing = share - mean_of(shares, values);
    for (double& s : shares) s = std::clamp(s + missing, 0.0, kMostShare);
  }
  return shares;
}

Recipe with_sparsity(const Model& model, const Recipe& recipe, std::vector<std::string>& notes, Progress& progress) {
  if (recipe.sparsity.kind == Kind::uniform) return recipe;
  const Step step = pruning_step(recipe);
  const Method& method = method_or_throw(step.method);
  const Pruning pruning = pruning_of(Options(method.name, method.options, step.options));
  if (pruning.pattern())
    throw Error(Blame::input, "allocation", "expected a sparsity, got a pattern, which is the same in all layers",
                "leave the pattern or the allocation out");
  const std::vector<Scores> scores = scores_of(model, recipe, progress);
  const std::vector<double> shares = shares_of(scores, recipe.sparsity, pruning.share);
  Recipe out = recipe;
  std::string text;
  for (std::size_t layer = 0; layer < shares.size(); ++layer) {
    Step own = step;
    own.where.layers = {dim(layer)};
    std::erase_if(own.options, [](const std::string& option) { return option.starts_with("sparsity="); });
    own.options.push_back(fmt::format("sparsity={:.2f}", 100 * shares[layer]));
    text += fmt::format("{}{:.1f}", text.empty() ? "" : " ", 100 * shares[layer]);
    out.steps.push_back(std::move(own));
  }
  notes.push_back(
      fmt::format("sparsity of the layers by {}, in percent: {}", sparsity_kind_name(recipe.sparsity.kind), text));
  return out;
}

}  // namespace pith
