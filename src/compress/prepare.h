// All that is decided before the first weight is touched.
#pragma once
#include "compress/calibrate/calibrator.h"
#include "compress/encode_tensor.h"
#include "compress/importance.h"
#include "model/exchange/lora.h"

namespace pith {

// A step of the recipe whose options were checked.
struct MethodStep {
  const Method* method = nullptr;
  Options options;
  Selection where;
};

struct Prepared {
  Preflight preflight;
  ExportPlan plan;
  std::vector<MethodStep> scalers;    // that scale, in order
  std::vector<MethodStep> rounders;   // that round afterwards: of each matrix the last that selects it
  std::vector<MethodStep> finishers;  // that see whole blocks when their matrices are rounded, in order
  Importance importance;
  std::optional<CalibrationChoice> calibration;  // where the method or the recipe asks for it
  std::optional<LoraAdapter> adapter;
  std::vector<std::size_t> plan_of;  // by Model::tensors() index: into preflight.tensors; kNone: left out
  std::vector<std::size_t> in_head;  // into preflight.tensors: written with a file's head already, exactly
  static constexpr std::size_t kNone = std::size_t(-1);
  std::vector<std::size_t> fisher;  // into Model::tensors(): of which methods want the Fisher information
  const LoraAdapter* adapter_or_null() const { return adapter ? &*adapter : nullptr; }
  const MethodStep& rounder_of(const ModelTensor& t) const;
  const TensorPlan& plan_for(const ExportTensor& t) const { return preflight.tensors[plan_of[t.source]]; }
};

// model: `source`, or what earlier steps made of it. Error(input) when a choice cannot be stored; disk and memory are
// for the caller to judge. Measures sensitivities first, and shows progress, where the recipe has a budget.
Prepared prepare(const Model& source, const Model& model, const Recipe& recipe, Container container,
                 const std::filesystem::path& target, Progress& progress);

// The model that the recipe's later steps work on, where earlier ones make another of it, or where its factors must be
// multiplied out since the container holds none. Error(input) when that
// cannot be.
std::optional<Model> reshaped_model(const Model& source, const Recipe& recipe, Container container, Progress& progress);

// max_ram_bytes: what the run may take in all, as far as it is limited.
CalibratorOptions calibrator_options(const Prepared& prepared, const Recipe& recipe, const RunLimits& limits,
                                     const std::filesystem::path& target);

// One slot that holds the rows as they are encoded, so panels can be written as they come.
bool written_by_rows(const ExportTensor& t, dim rows, dim cols);

}  // namespace pith
