#include "core/error.h"
#include "train/distill.h"

namespace pith {

namespace {

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

std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const TeacherCache& cache,
                                             const TrainingData& data) {
  check_distill_loss(loss);
  return std::make_unique<FromCache>(loss, student, cache, data);
}

}  // namespace pith
