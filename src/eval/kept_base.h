// The original's logits of one text, kept from one comparison to the next, so that it is run once however many models
// are held against it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "eval/scored_run.h"
#include "io/scratch.h"

namespace pith {

class KeptBase {
 public:
  // More than `most_bytes` is not kept: then each comparison runs the original again. They lie in temporary files.
  explicit KeptBase(dim most_bytes = dim(2) << 30) : most_bytes_(most_bytes) {}

  // For compare(). Of the same model, windows and steps as the time before what was kept stays; else it is dropped.
  void begin(const Model& base, const WindowSet& set, std::span<const WindowStep> steps);
  bool wants() const { return wants_; }        // add() is to be called for each step in turn, then finish()
  bool complete() const { return complete_; }  // logits() has all steps
  void add(Buffer logits) { steps_.push_back(scratch_.keep(std::move(logits))); }
  void finish(const RunTotals& totals);
  const float* logits(std::size_t step) const { return reinterpret_cast<const float*>(steps_[step]); }
  const RunTotals& totals() const { return totals_; }  // of the run that was kept

 private:
  dim most_bytes_;
  std::string key_;
  bool wants_ = false, complete_ = false;
  RunTotals totals_;
  std::vector<const std::byte*> steps_;  // each (rows, vocab), f32
  Scratch scratch_;
};

}  // namespace pith
