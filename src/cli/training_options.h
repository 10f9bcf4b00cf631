// What `finetune` and `distill` have in common: options, the run, and what is written.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "train/objective.h"
#include "train/trainer.h"

namespace CLI {
class App;
}

namespace pith::cli {

struct TrainingFlags {
  std::string model, out, to, format, roles, schedule = "cosine", activation_memory = "512MB", precision = "bf16",
                                             student_from,  // distill
      qat, activations, optimizer = "adamw";
  std::vector<std::string> data;
  long long lora = 0, length = 512, batch = 8, steps = 0, seed = 0, micro_tokens = 1024, checkpoint_every = 0,
            stop_after = 0, validate_every = 0;
  double validation = 0;
  double alpha = 0, rate = 0, warmup = 0.05, weight_decay = 0, clip = 1, epochs = 1, beta1 = 0.9, beta2 = 0.999;
  Rollout rollout;  // distill
  bool norms = false, scales = false, dora = false, keep_zeros = false, train_on_prompts = false, resume = false,
       overwrite = false, json = false;
};

void add_training_options(CLI::App& app, TrainingFlags& flags);

// The loss for a model and its data; `teacher` for the report.
struct TrainingLoss {
  std::unique_ptr<Objective> objective;
  std::string teacher;
};
using MakeLoss = std::function<TrainingLoss(const Model& model, const TrainingData& data, const TrainOptions& options)>;

// Trains and writes a model or an adapter with OUT.report.md and .json; `ending` names the default output.
void run_training(const TrainingFlags& flags, const char* ending, const MakeLoss& make_loss);

}  // namespace pith::cli
