// How a training run went.
#pragma once
#include <string>
#include <vector>

#include "train/trainer.h"

namespace pith::report {

struct TrainingReport {
  std::string model, teacher, output;  // teacher: empty where there is none
  std::string what;                    // "all values", "adapters of rank 16", "norms"
  std::string loss;                    // what was minimised
  std::vector<std::string> data_files;
  dim sequences = 0, data_tokens = 0, predicted_tokens = 0;
  std::string data_hash;
  TrainOptions options;
  TrainRun run;
  dim output_bytes = 0, peak_ram_bytes = 0;
  std::vector<std::string> notes;
};

std::string training_text(const TrainingReport& report);      // a few lines
std::string training_markdown(const TrainingReport& report);  // with the loss as a curve and a table
std::string training_json(const TrainingReport& report);      // every step

}  // namespace pith::report
