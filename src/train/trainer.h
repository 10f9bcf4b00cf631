// The training loop: steps of one optimizer over shuffled sequences, with checkpoints from which a run goes on to the
// same bytes.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>

#include "core/progress.h"
#include "train/objective.h"
#include "train/optimizer/adamw.h"
#include "train/optimizer/schedule.h"
#include "train/rollout.h"
#include "train/trainable.h"

namespace pith {

struct TrainOptions {
  TrainChoice choice = {};
  AdamW adamw = {};
  ScheduleKind schedule = ScheduleKind::cosine;
  double rate = 2e-5, floor = 0, warmup = 0.05;  // warmup: share of the steps
  double clip = 1;                               // most of the gradients' norm; 0: not clipped
  double epochs = 1;
  bool keep_zeros = false;                // of matrices: what was pruned stays pruned
  dim steps = 0;                          // 0: as many as the epochs take
  dim batch = 8;                          // sequences of a step
  dim micro_tokens = 1024;                // about so many go through the model at once
  dim activation_bytes = dim(512) << 20;  // for tapes that spare a second forward pass
  std::uint64_t seed = 0;
  std::string made = {};                     // how the model was made of its files; empty: it is what they say
  Rollout rollout = {};                      // needs an objective that judges any text
  const TrainingData* validation = nullptr;  // its loss is measured; null: none
  dim validate_every = 0;                    // steps; 0: a tenth of them
  std::filesystem::path checkpoint = {};     // empty: none
  dim checkpoint_every = 0;                  // steps; 0: at no step but the last that after_step ends the run at
  bool resume = false;                       // from the checkpoint, where there is one
  Group* group = nullptr;                    // processes that share the work, to the bytes of one; null: this one
};

struct TrainStep {
  dim number = 0;            // from 1
  double loss = 0;           // mean over the step's predicted tokens, before the update
  double gradient_norm = 0;  // before clipping
  double rate = 0;
  dim tokens = 0;                         // read
  bool own = false;                       // of the student itself
  std::optional<double> validation = {};  // its loss after the step, where it was measured
};

struct TrainRun {
  std::vector<TrainStep> steps;  // those of earlier runs included
  dim resumed_at = 0;            // steps that the checkpoint had
  dim planned = 0;
  double seconds = 0;  // of this run
  dim tokens = 0;      // of this run
  int processes = 1;
  dim trained_values = 0, state_bytes = 0, activation_bytes = 0;  // bytes: of this process
  double tokens_per_second() const { return seconds > 0 ? double(tokens) / seconds : 0; }
};

// Changes the values of `trainable`. after_step: false ends the run, with a checkpoint where one is asked for.
// Error(input) when an option is out of range, the checkpoint is of another run, or the loss is not finite.
TrainRun train(const Model& model, Trainable& trainable, const TrainingData& data, Objective& objective,
               const TrainOptions& options, Progress& progress = no_progress(),
               const std::function<bool(const TrainStep&)>& after_step = {});

}  // namespace pith
