#include <algorithm>

#include "core/error.h"
#include "train/alignment.h"
#include "train/distill.h"

namespace pith {

namespace {

struct Overlap {
  dim longest = 2;  // of the teacher's sequences
  dim places = 0, aligned = 0;
  double share() const { return double(aligned) / double(std::max<dim>(places, 1)); }
};

// Of the predicted places of the data.
Overlap overlap_of(const Tokenizer& student, const Tokenizer& teacher, const TrainingData& data, dim most) {
  Overlap all;
  for (const TrainingSequence& s : data.sequences) {
    const AlignedText aligned = align_text(student, teacher, s.tokens, most);
    all.longest = std::max(all.longest, dim(aligned.tokens.size()));
    for (std::size_t t = 1; t < s.tokens.size(); ++t) {
      if (!s.predicted[t]) continue;
      ++all.places;
      all.aligned += aligned.place[t - 1] >= 0;
    }
  }
  return all;
}

class ByText final : public Objective {
 public:
  ByText(const SortedLoss& loss, const Model& student, const Model& teacher, const Overlap& overlap, dim sequences)
      : loss_(loss),
        student_(student.tokenizer()),
        theirs_(teacher.tokenizer()),
        vocab_(student.config().vocab),
        longest_(overlap.longest),
        share_(overlap.share()),
        stamp_(teacher.source_stamp()),
        teacher_(teacher, overlap.longest, sequences) {}

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    place_.clear();
    std::vector<std::vector<Token>> sequences;
    dim first = 0;
    for (const std::vector<Token>& sequence : batch.sequences) {
      AlignedText aligned = align_text(student_, theirs_, sequence, longest_);
      for (const dim place : aligned.place) place_.push_back(place < 0 ? -1 : first + place);
      first += dim(aligned.tokens.size());
      if (!aligned.tokens.empty()) sequences.push_back(std::move(aligned.tokens));
    }
    teacher_.read(sequences);
  }
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    std::vector<dim> there;
    for (const dim p : places)
      if (place_[std::size_t(p)] >= 0) there.push_back(place_[std::size_t(p)]);
    const float* theirs = there.empty() ? nullptr : teacher_.logits(there);
    std::vector<const float*> rows;
    for (const dim p : places) {
      rows.push_back(place_[std::size_t(p)] >= 0 ? theirs : nullptr);
      if (rows.back()) theirs += teacher_.vocab();
    }
    return sorted_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_}, rows, teacher_.vocab());
  }
  std::string describe() const override {
    return fmt::format("{}, at {:.1f} % of the places", describe_sorted_loss(loss_), 100 * share_);
  }
  std::string identity() const override { return stamp_; }

 private:
  SortedLoss loss_;
  const Tokenizer &student_, &theirs_;
  dim vocab_, longest_;
  double share_;
  std::string stamp_;
  Teacher teacher_;
  std::vector<dim> place_;  // of the teacher's tokens, by the student's
};

}  // namespace

std::unique_ptr<Objective> distill_by_text_objective(const SortedLoss& loss, const Model& student, const Model& teacher,
                                                     const TrainingData& data, dim sequences) {
  check_sorted_loss(loss);
  if (!student.has_tokenizer() || !teacher.has_tokenizer())
    throw input_error("uld", "expected models with tokenizers, got one without");
  const dim context = teacher.config().context, most = context > 0 ? context : 4 * data.longest();
  const Overlap overlap = overlap_of(student.tokenizer(), teacher.tokenizer(), data, most);
  if (overlap.aligned == 0)
    throw input_error("uld", "expected places where both tokenizers have read the same text, found none of {}",
                      overlap.places);
  return std::make_unique<ByText>(loss, student, teacher, overlap, sequences);
}

}  // namespace pith
