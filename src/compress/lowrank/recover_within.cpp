#include "compress/lowrank/recover_within.h"

#include "core/error.h"

namespace pith {

RecoveredWithin recover_within(const Model& original, const Recipe& recipe, Container container,
                               const std::filesystem::path& target, const RunLimits& limits, Progress& progress) {
  PITH_CHECK(recipe.max_bytes && recipe.calibration);
  if (reshapes(recipe))
    throw Error(Blame::input, steps_text(recipe), "expected methods that round, got one that makes another model first",
                "do that in a run before");
  RecoveredWithin out;
  const dim most = *recipe.max_bytes;
  out.split = FormatBudget(original, recipe, container, target, most, most, CorrectionChoice{}).within(most, progress);
  Recipe base = recipe;
  base.max_bytes.reset();
  base.overrides = out.split.formats;
  base.overrides.insert(base.overrides.end(), recipe.overrides.begin(), recipe.overrides.end());
  out.base = compress(original, base, container, target, limits, progress);
  if (out.split.ranks.empty()) return out;
  const auto rank_of = [&](const ModelTensor& t) {
    const auto at = out.split.ranks.find({t.role, t.layer});
    return at == out.split.ranks.end() ? dim(0) : at->second;
  };
  out.correction = recover(original, Model::open(target), rank_of, *recipe.calibration, progress);
  return out;
}

}  // namespace pith
