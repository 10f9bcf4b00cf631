#include "train/teacher.h"

#include <algorithm>

#include "core/error.h"
#include "model/backward/head.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"

namespace pith {

struct Teacher::Impl {
  Network net;
  BlockForward forward;
  Head head;
  Buffer stream;             // (tokens, hidden) after the last block
  std::vector<Buffer> kept;  // after others
  std::vector<dim> lengths;

  Impl(const Model& model, dim max_length, dim sequences)
      : net(Network::of(model)), forward(net, max_length, sequences), head(net) {}
};

Teacher::Teacher(const Model& model, dim max_length, dim sequences)
    : impl_(std::make_unique<Impl>(model, max_length, sequences)) {}
Teacher::~Teacher() = default;

dim Teacher::vocab() const { return impl_->net.config->vocab; }

void Teacher::read(std::span<const std::vector<Token>> sequences, std::span<const dim> keep) {
  Impl& i = *impl_;
  const dim hidden = i.net.config->hidden;
  i.lengths.clear();
  dim rows = 0;
  for (const auto& s : sequences) {
    i.lengths.push_back(dim(s.size()));
    rows += dim(s.size());
  }
  float* x = reserve(i.stream, rows * hidden);
  for (dim row = 0; const auto& s : sequences) {
    i.forward.embed(s, x + row * hidden);
    row += dim(s.size());
  }
  i.kept.resize(keep.size());
  for (dim l = 0; l < i.net.config->layers; ++l) {
    i.forward.run(l, x, i.lengths);
    for (std::size_t k = 0; k < keep.size(); ++k)
      if (keep[k] == l) std::copy_n(x, rows * hidden, reserve(i.kept[k], rows * hidden));
  }
}

const float* Teacher::hidden(std::size_t kept) const { return impl_->kept[kept].as<float>(); }

const float* Teacher::logits(std::span<const dim> places) {
  return impl_->head.logits(impl_->stream.as<float>(), places);
}

void check_same_vocabulary(const Model& student, const Model& teacher) {
  const dim of_student = student.config().vocab, of_teacher = teacher.config().vocab;
  const auto refuse = [&](const std::string& what) {
    throw Error(Blame::input, "teacher", "expected the student's vocabulary, " + what,
                "distributions can only be compared over the same tokens");
  };
  if (!student.has_tokenizer() || !teacher.has_tokenizer()) {
    if (of_student != of_teacher) refuse(fmt::format("got {} tokens instead of {}", of_teacher, of_student));
    return;
  }
  const Tokenizer &a = student.tokenizer(), &b = teacher.tokenizer();
  const dim known = std::min(a.vocab_size(), b.vocab_size()), both = std::min({known, of_student, of_teacher});
  for (dim t = 0; t < both; ++t)
    if (a.piece(Token(t)) != b.piece(Token(t)))
      refuse(fmt::format("but token {} is \"{}\" here and \"{}\" there", t, a.piece(Token(t)), b.piece(Token(t))));
  // Padding behind the vocabulary is nothing to compare; tokens that only one has are.
  if (std::max(a.vocab_size(), b.vocab_size()) > both && a.vocab_size() != b.vocab_size())
    refuse(fmt::format("got {} known tokens instead of {}", b.vocab_size(), a.vocab_size()));
}

namespace {

class Beside final : public Objective {
 public:
  Beside(const DistillLoss& loss, const HiddenLoss& hidden, const Model& student, const Model& teacher, dim max_length,
         dim sequences)
      : loss_(loss),
        hidden_(hidden),
        hidden_size_(student.config().hidden),
        vocab_(student.config().vocab),
        stamp_(teacher.source_stamp()),
        teacher_(teacher, max_length, sequences) {
    if (hidden_.weight == 0) hidden_.pairs.clear();
    for (const LayerPair& pair : hidden_.pairs) kept_.push_back(pair.teacher);
  }

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    teacher_.read(batch.sequences, kept_);
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
    const float* teacher = teacher_.logits(places);
    return distill_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_},
                        TeacherLogits{teacher, teacher_.vocab()});
  }
  std::string describe() const override { return describe_loss(loss_) + describe_hidden(hidden_); }
  std::string identity() const override { return stamp_; }

 private:
  DistillLoss loss_;
  HiddenLoss hidden_;
  dim hidden_size_, vocab_;
  std::string stamp_;
  std::vector<dim> kept_;
  Teacher teacher_;
};

class FromCache final : public Objective {
 public:
  FromCache(const DistillLoss& loss, const Model& student, const TeacherCache& cache, const TrainingData& data)
      : loss_(loss), vocab_(student.config().vocab), cache_(cache), data_(data) {
    if (loss.temperature != 1)
      throw Error(Blame::input, "temperature",
                  fmt::format("expected 1 with kept teacher logits, got {}", loss.temperature),
                  "the rest of the distribution is not known at other temperatures; let the teacher run beside");
  }

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    row_at_.assign(std::size_t(batch.tokens()), -1);
    std::size_t next = 0;
    for (const TrainingSequence* s : batch.sources) {
      const auto index = std::size_t(s - data_.sequences.data());
      PITH_CHECK(index < data_.sequences.size());
      for (dim row = cache_.first_row(index), end = row + s->count(); row < end; ++row, ++next)
        row_at_[std::size_t(batch.places[next])] = row;
    }
  }
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    const auto k = std::size_t(cache_.k());
    tokens_.resize(places.size() * k);
    log_p_.resize(places.size() * (k + 1));
    for (std::size_t i = 0; i < places.size(); ++i)
      cache_.row(row_at_[std::size_t(places[i])], tokens_.data() + i * k, log_p_.data() + i * (k + 1));
    return distill_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_},
                        TeacherTop{tokens_.data(), log_p_.data(), cache_.k()});
  }
  std::string describe() const override {
    return fmt::format("{}, of the {} likeliest tokens and the rest", describe_loss(loss_), cache_.k());
  }
  std::string identity() const override { return cache_.fingerprint(); }

 private:
  DistillLoss loss_;
  dim vocab_;
  const TeacherCache& cache_;
  const TrainingData& data_;
  std::vector<dim> row_at_;  // of the cache, by place
  std::vector<Token> tokens_;
  std::vector<float> log_p_;
};

}  // namespace

std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const Model& teacher,
                                             dim max_length, dim sequences, const HiddenLoss& hidden) {
  check_distill_loss(loss);
  check_same_vocabulary(student, teacher);
  if (!(hidden.weight >= 0 && hidden.weight <= 1e6))
    throw input_error("hidden", "expected a weight from 0 to 1e6, got {}", hidden.weight);
  if (hidden.weight > 0 && student.config().hidden != teacher.config().hidden)
    throw Error(Blame::input, "hidden",
                fmt::format("expected states of the student's size, {}, got the teacher's {}", student.config().hidden,
                            teacher.config().hidden),
                "no projection between them is learned");
  return std::make_unique<Beside>(loss, hidden, student, teacher, max_length, sequences);
}

std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const TeacherCache& cache,
                                             const TrainingData& data) {
  check_distill_loss(loss);
  return std::make_unique<FromCache>(loss, student, cache, data);
}

}  // namespace pith
