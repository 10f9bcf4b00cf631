// From a model and a recipe to verified files: preflight -> per block: load, solve, check finite, encode,
// append, journal -> verify by reopening -> rename into place.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/method.h"
#include "compress/recipe.h"
#include "core/group.h"
#include "core/progress.h"
#include "model/export.h"

namespace pith {

struct RunLimits {
  std::optional<dim> max_ram_bytes;
  bool overwrite = false;
  bool resume = false;
  // Processes that share the calibration text; each does all else itself, to a target of its own. None of them may
  // resume. Null: this one alone.
  Group* group = nullptr;
};

struct TensorPlan {        // one row of the preflight table
  std::size_t source = 0;  // into Model::tensors()
  std::string name;
  Role role;
  dim layer, rows, cols;
  const Format* from;
  const Format* to;
  const Format* wanted;           // differs from `to` where it fell back
  std::string why;                // why it fell back or was left alone
  dim bytes_before, bytes_after;  // outliers included
  OutlierShape outliers = {};     // kept apart
  dim kept = -1;                  // values that a pruning method leaves; -1: none prunes it
  std::optional<SparseShape> sparse = {};
};

struct Preflight {
  std::vector<TensorPlan> tensors;
  dim source_bytes = 0;  // of the source's tensors, before steps that make another model of it
  dim output_bytes = 0;
  dim peak_ram_bytes = 0;  // predicted
  double seconds = 0;      // predicted, from a short trial encode on the first matrix
  dim disk_free_bytes = 0;
  std::vector<std::string> notes;  // what opening the model and checking the target have to say
};

struct TensorOutcome {
  std::string name;
  Role role;
  dim layer;
  const Format* format;
  double rmse;            // against the source values
  double relative_error;  // ||w - w'||_F / ||w||_F
  double sqnr_db;
  dim bytes;
  dim values = 0, zeros = 0;  // of the tensor as written
  dim tokens = -1;            // that calibration sent to it; -1: it was not calibrated
  std::string note;           // what the method had to do differently
};

struct Outcome {
  Preflight preflight;
  std::vector<TensorOutcome> tensors;
  double seconds = 0;
  dim peak_ram_bytes = 0;  // measured, of this process
  std::string source_hash, output_hash;
  dim output_bytes = 0;  // of the weight files as written
  dim calibration_tokens = 0;
};

Preflight preflight(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                    Progress& progress = no_progress());
// Throws Error before work when disk, RAM or a shape will not do. The result was verified by reopening.
Outcome compress(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                 const RunLimits& limits, Progress& progress = no_progress());

}  // namespace pith
