// The state of a training run as one safetensors file, written beside its final name and renamed.
#pragma once
#include <filesystem>

#include "train/trainer.h"

namespace pith {

// What decides every later byte of the run.
std::string run_fingerprint(const Model& model, const TrainingData& data, const Objective& objective,
                            const TrainOptions& options, dim planned_steps);

// All that steps change.
struct RunState {
  std::span<Parameter> trained, objectives;  // the model's, and the objective's own
  OwnTexts& own;
};
void save_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                     const std::vector<TrainStep>& steps, const RunState& state);
// The steps that were done; fills values, moments and kept texts, of this vocabulary. Error(input) when the file is
// damaged or of another run.
std::vector<TrainStep> load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                                       const RunState& state, dim vocab);

}  // namespace pith
