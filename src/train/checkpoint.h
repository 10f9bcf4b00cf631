// The state of a training run as one safetensors file, written beside its final name and renamed.
#pragma once
#include <filesystem>

#include "train/trainer.h"

namespace pith {

// What decides every later byte of the run.
std::string run_fingerprint(const Model& model, const TrainingData& data, const Objective& objective,
                            const TrainOptions& options, dim planned_steps);

void save_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                     const std::vector<TrainStep>& steps, const Trainable& trainable);
// The steps that were done; fills values and moments. Error(input) when the file is damaged or of another run.
std::vector<TrainStep> load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                                       Trainable& trainable);

}  // namespace pith
