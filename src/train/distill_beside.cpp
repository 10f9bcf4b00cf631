#include <algorithm>

#include "core/error.h"
#include "model/forward_reserve.h"
#include "ops/parts.h"
#include "train/alignment.h"
#include "train/distill.h"

namespace pith {

namespace {

std::vector<Token> tokens_of_both(const Model& student, const Model& teacher) {
  if (!student.has_tokenizer() || !teacher.has_tokenizer())
    throw input_error("vocabulary", "expected models with tokenizers to find shared tokens, got one without");
  const std::vector<Token> both =
      shared_tokens(student.tokenizer(), student.config().vocab, teacher.tokenizer(), teacher.config().vocab);
  const dim ours = std::min(student.tokenizer().vocab_size(), student.config().vocab), n = dim(both.size());
  if (n == ours || (n > 0 && n == std::min(teacher.tokenizer().vocab_size(), teacher.config().vocab))) return both;
  throw Error(
      Blame::input, "vocabulary",
      fmt::format("expected all of the student's tokens among the teacher's or the reverse, but its token {} of "
                  "{} is not there",
                  n, ours),
      "--loss uld compares models of any vocabularies");
}

class Beside final : public Objective {
 public:
  Beside(const DistillLoss& loss, const BesideOptions& options, const Model& student, const Model& teacher,
         dim max_length, dim sequences)
      : loss_(loss),
        hidden_(options.hidden),
        hidden_size_(student.config().hidden),
        vocab_(student.config().vocab),
        stamp_(teacher.source_stamp()),
        teacher_(teacher, max_length, sequences) {
    if (hidden_.weight == 0) hidden_.pairs.clear();
    for (const LayerPair& pair : hidden_.pairs) kept_.push_back(pair.teacher);
    if (options.shared_tokens) shared_ = tokens_of_both(student, teacher);
  }

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    if (shared_.empty()) return teacher_.read(batch.sequences, kept_);
    theirs_ = batch.sequences;
    for (std::vector<Token>& sequence : theirs_)
      for (Token& t : sequence) t = teachers_token(t);
    teacher_.read(theirs_, kept_);
  }
  bool sees_block(dim layer) const override {
    return std::any_of(hidden_.pairs.begin(), hidden_.pairs.end(),
                       [&](const LayerPair& p) { return p.student == layer; });
  }
  // At the places that predict, as all else of the loss.
  double block_part(dim layer, const float* x, dim, float* gradient) override {
    double sum = 0;
    for (std::size_t k = 0; k < hidden_.pairs.size(); ++k) {
      if (hidden_.pairs[k].student != layer) continue;
      const double weight = weight_ * hidden_.weight / double(hidden_.pairs.size());
      for (const dim place : batch_->places)
        sum += weight * hidden_row(hidden_.kind, x + place * hidden_size_, teacher_.hidden(k) + place * hidden_size_,
                                   hidden_size_, weight, gradient + place * hidden_size_);
    }
    return sum;
  }
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    return distill_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_}, teacher_logits(places));
  }
  std::string describe() const override {
    const std::string over = shared_.empty() ? "" : fmt::format(" over {} shared tokens", shared_.size());
    return describe_loss(loss_) + over + describe_hidden(hidden_);
  }
  std::string identity() const override { return stamp_; }

 private:
  Token teachers_token(Token t) const {
    if (std::size_t(t) < shared_.size()) return shared_[std::size_t(t)];
    throw Error(Blame::input, "teacher", fmt::format("expected text of tokens that the teacher has, got token {}", t),
                "--loss uld lets each model read its own");
  }
  // Of shared tokens in the student's order.
  TeacherLogits teacher_logits(std::span<const dim> places) {
    const float* all = teacher_.logits(places);
    if (shared_.empty()) return {all, teacher_.vocab()};
    const dim width = dim(shared_.size());
    float* some = reserve(picked_, dim(places.size()) * width);
    parallel_for(
        dim(places.size()),
        [&](dim i) {
          for (dim k = 0; k < width; ++k) some[i * width + k] = all[i * teacher_.vocab() + shared_[std::size_t(k)]];
        },
        grain_of(width));
    return {some, width};
  }

  DistillLoss loss_;
  HiddenLoss hidden_;
  dim hidden_size_, vocab_;
  std::string stamp_;
  std::vector<dim> kept_;
  Teacher teacher_;
  std::vector<Token> shared_;  // the teacher's ids of the student's first tokens; empty: all are the same
  std::vector<std::vector<Token>> theirs_;
  Buffer picked_;
};

}  // namespace

std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const Model& teacher,
                                             dim max_length, dim sequences, const BesideOptions& options) {
  check_distill_loss(loss);
  if (!options.shared_tokens) check_same_vocabulary(student, teacher);
  const HiddenLoss& hidden = options.hidden;
  if (!(hidden.weight >= 0 && hidden.weight <= 1e6))
    throw input_error("hidden", "expected a weight from 0 to 1e6, got {}", hidden.weight);
  if (hidden.weight > 0 && student.config().hidden != teacher.config().hidden)
    throw Error(Blame::input, "hidden",
                fmt::format("expected states of the student's size, {}, got the teacher's {}", student.config().hidden,
                            teacher.config().hidden),
                "no projection between them is learned");
  return std::make_unique<Beside>(loss, options, student, teacher, max_length, sequences);
}

}  // namespace pith
