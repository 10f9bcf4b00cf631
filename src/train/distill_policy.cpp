#include "core/error.h"
#include "ops/cross_entropy.h"
#include "train/distill.h"

namespace pith {

namespace {

// The student's answers are learned from by their rewards, the data's texts by their tokens.
class Policy final : public Objective {
 public:
  Policy(const PolicyLoss& loss, const Model& student, const Model& teacher, dim max_length, dim sequences)
      : loss_(loss),
        vocab_(student.config().vocab),
        stamp_(teacher.source_stamp()),
        teacher_(teacher, max_length, sequences) {}

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    if (!batch.own) return;
    returns_ = {};
    teacher_.read(batch.sequences);
    left_.assign(std::size_t(batch.tokens()), 0);
    std::size_t next = 0;
    for (const TrainingSequence* s : batch.sources)
      for (dim left = s->count(); left-- > 0;) left_[std::size_t(batch.places[next++])] = left;
  }
  bool last_first() const override { return batch_ && batch_->own; }
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    if (!batch_->own)
      return cross_entropy_backward(
          {.logits = logits, .n = dim(places.size()), .vocab = vocab_, .targets = targets, .weight = weight_});
    std::vector<dim> left;
    for (const dim p : places) left.push_back(left_[std::size_t(p)]);
    return policy_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_},
                       {teacher_.logits(places), teacher_.vocab()}, left, returns_);
  }
  const Network* teacher() const override { return &teacher_.network(); }
  std::string describe() const override {
    return fmt::format("minillm (teacher mix {:g}) on own answers, cross_entropy on the data's", loss_.teacher_mix);
  }
  std::string identity() const override { return fmt::format("{} {:g}", stamp_, loss_.most_reward); }

 private:
  PolicyLoss loss_;
  dim vocab_;
  std::string stamp_;
  Teacher teacher_;
  std::vector<dim> left_;  // of an answer's tokens, by place
  PolicyReturns returns_;
};

}  // namespace

std::unique_ptr<Objective> policy_objective(const PolicyLoss& loss, const Model& student, const Model& teacher,
                                            dim max_length, dim sequences) {
  check_policy_loss(loss);
  check_same_vocabulary(student, teacher);
  return std::make_unique<Policy>(loss, student, teacher, max_length, sequences);
}

}  // namespace pith
