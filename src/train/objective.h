// What a training run minimises, over the sequences of one step.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "model/backward/model_backward.h"
#include "train/data.h"
#include "train/parameter.h"

namespace pith {

// A few sequences that go through the model together, and where their predictions are made.
struct MicroBatch {
  std::vector<const TrainingSequence*> sources;
  std::vector<std::vector<Token>> sequences;
  std::vector<dim> places;     // as TokenLoss: the token before each that is predicted
  std::vector<Token> targets;  // of each place
  bool own = false;            // the student's own answers
  void add(const TrainingSequence& sequence);
  dim tokens() const;
};

constexpr dim kMostSequences = 64;  // that go through the model at once

// The sequences in order, as many together as about micro_tokens allow.
std::vector<MicroBatch> micro_batches(std::span<const TrainingSequence* const> sequences, dim micro_tokens);

class Objective : public TokenLoss {
 public:
  // What it learns itself beside the model.
  virtual std::span<Parameter> parameters() { return {}; }
  // Before the first step of a run, unless that goes on from a checkpoint, which has parameters().
  virtual void prepare(const Network& /*student*/, const TrainingData& /*data*/, Progress& /*progress*/) {}
  virtual const Network* teacher() const { return nullptr; }  // that draws beside the student (Rollout::teacher_mix)
  // Before the model sees the batch, whose places each count `weight` in the loss. Views the batch until the next.
  virtual void begin(const MicroBatch& batch, double weight);
  virtual std::string describe() const = 0;                    // for people
  virtual std::string identity() const { return describe(); }  // what else decides its values
  virtual dim working_bytes() const { return 0; }

 protected:
  // Of the batch at these places.
  std::vector<Token> targets_of(std::span<const dim> places) const;
  const MicroBatch* batch_ = nullptr;
  double weight_ = 0;

 private:
  std::vector<Token> target_at_;  // by place
};

// -ln p of the tokens that follow.
std::unique_ptr<Objective> cross_entropy_objective(dim vocab);

}  // namespace pith
