#include "train/objective.h"

#include "ops/cross_entropy.h"

namespace pith {

void MicroBatch::add(const TrainingSequence& s) {
  const dim first = tokens();
  for (std::size_t t = 1; t < s.tokens.size(); ++t) {
    if (!s.predicted[t]) continue;
    places.push_back(first + dim(t) - 1);
    targets.push_back(s.tokens[t]);
  }
  sources.push_back(&s);
  sequences.push_back(s.tokens);
}

dim MicroBatch::tokens() const {
  dim sum = 0;
  for (const auto& s : sequences) sum += dim(s.size());
  return sum;
}

std::vector<MicroBatch> micro_batches(std::span<const TrainingSequence* const> sequences, dim micro_tokens) {
  std::vector<MicroBatch> all(1);
  for (const TrainingSequence* s : sequences) {
    const bool full = all.back().tokens() + dim(s->tokens.size()) > micro_tokens ||
                      dim(all.back().sequences.size()) == kMostSequences;
    if (full && !all.back().sequences.empty()) all.emplace_back();
    all.back().add(*s);
  }
  return all;
}

void Objective::begin(const MicroBatch& batch, double weight) {
  batch_ = &batch;
  weight_ = weight;
  target_at_.assign(std::size_t(batch.tokens()), 0);
  for (std::size_t i = 0; i < batch.places.size(); ++i) target_at_[std::size_t(batch.places[i])] = batch.targets[i];
}

std::vector<Token> Objective::targets_of(std::span<const dim> places) const {
  std::vector<Token> targets;
  for (const dim p : places) targets.push_back(target_at_[std::size_t(p)]);
  return targets;
}

namespace {

class CrossEntropy final : public Objective {
 public:
  explicit CrossEntropy(dim vocab) : vocab_(vocab) {}
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    return cross_entropy_backward(
        {.logits = logits, .n = dim(places.size()), .vocab = vocab_, .targets = targets, .weight = weight_});
  }
  std::string describe() const override { return "cross_entropy"; }

 private:
  dim vocab_;
};

}  // namespace

std::unique_ptr<Objective> cross_entropy_objective(dim vocab) { return std::make_unique<CrossEntropy>(vocab); }

}  // namespace pith
