// The smallest loss that fits: a search over formats, methods, structures and codecs of keys and values for what serves
// a goal best. Every candidate is written, opened again and measured; what does not serve is deleted.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compress/pipeline.h"
#include "compress/recipe_file.h"
#include "report/study/record.h"
#include "study/measure.h"

namespace pith {

// At least one. All that are given must hold; of those for which they do the one with the least divergence from the
// source wins, or, where the divergence itself is limited, the smallest.
struct FitGoal {
  std::optional<dim> max_bytes;                 // of the weight files
  std::optional<dim> max_ram;                   // weights, and the keys and values of FitOptions::context tokens
  std::optional<double> min_tokens_per_second;  // of decode, on this machine
  std::optional<double> max_kl;                 // nats per token, KL(source || model)
};

enum class FitEffort { quick, normal, thorough };

struct FitOptions {
  FitGoal goal;
  FitEffort effort = FitEffort::normal;
  Container container = Container::gguf;
  CalibrationChoice calibration;
  MeasureOptions measure;  // with a text
  dim context = 2048;
  bool overwrite = false;
  bool resume = false;  // candidates that an earlier run of the same search measured are not run again
};

struct FitPoint {
  std::string label;  // "gptq within 90.0 MB"
  RecipeFile recipe;  // how it is made from the source
  report::ModelRecord record;
  bool serves = false;  // the goal
  double kl() const { return record.quality->against_base->kl.mean; }
  dim bytes() const { return record.size.file_bytes; }
};

struct FitResult {
  std::vector<FitPoint> points;  // in the order in which they were tried
  std::size_t winner = 0;        // into points
  std::vector<std::string> notes;
  double seconds = 0;
  report::Study study;  // the same for tables and pages, with the source measured too
};

// Points that no other one beats in both bytes and divergence, from the smallest file up: their divergence falls.
std::vector<std::size_t> pareto_front(const std::vector<FitPoint>& points);

// Writes the winner to `target`. Measurements are kept beside it, in .NAME.pith-fit/, until it is written. seen(points)
// after each. Error(input) when no candidate serves the goal: it says how near they came.
FitResult fit(const std::string& source, const FitOptions& options, const std::filesystem::path& target,
              const std::function<void(const std::vector<FitPoint>&)>& seen, Progress& progress);

}  // namespace pith
