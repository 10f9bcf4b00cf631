// A pipeline at work: its seeds and models, and the way of its records through the filters.
#pragma once
#include <optional>

#include "core/options.h"
#include "core/progress.h"
#include "core/rng.h"
#include "synth/filters/near_duplicates.h"
#include "synth/filters/text_filters.h"
#include "synth/record.h"
#include "synth/reply_journal.h"
#include "synth/seeds.h"
#include "synth/text.h"

namespace pith::synth {

struct AskCounts {
  dim requests = 0;  // replies and scores that were needed
  dim known = 0;     // of them in the journal already
  dim tokens = 0;    // written anew
  double seconds = 0;
};

// A model whose replies are kept.
class AskedModel {
 public:
  AskedModel(TextModel& model, ReplyJournal& journal, Progress& progress)
      : model_(model), journal_(journal), progress_(progress), identity_(model.identity()) {}
  // One reply for each request, in their order.
  std::vector<Reply> answer(std::string_view stage, const std::vector<Request>& requests);
  std::vector<TextScore> score(std::string_view stage, const std::vector<ScoreRequest>& requests);
  const ModelIdentity& identity() const { return identity_; }
  const AskCounts& counts() const { return counts_; }

 private:
  template <class Out, class In, class Find, class Ask>
  std::vector<Out> all(std::string_view stage, const std::vector<In>& requests, const Find& find, const Ask& ask);
  TextModel& model_;
  ReplyJournal& journal_;
  Progress& progress_;
  ModelIdentity identity_;
  AskCounts counts_;
};

struct RunChoice {
  Sampling sampling = {};
  dim samples = 1;  // answers for each question
  dim count = 100;  // instructions to make, of pipelines that make them
  std::uint64_t seed = 0;
  std::string system;  // what the teacher is told first
  TextFilters filters = {};
  DuplicateChoice duplicates = {};
};

// How many were dropped by each filter, in the order of their first use.
using DropCounts = std::vector<std::pair<std::string, dim>>;

class Run {
 public:
  // student: null where there is none.
  Run(const RunChoice& how, const Options& given, const std::vector<SeedItem>& from,
      const std::vector<std::string>& about, AskedModel& teacher, AskedModel* student)
      : choice(how),
        options(given),
        seeds(from),
        topics(about),
        teacher_(teacher),
        student_(student),
        duplicates_(how.duplicates) {}

  const RunChoice& choice;
  const Options& options;
  const std::vector<SeedItem>& seeds;
  const std::vector<std::string>& topics;

  // Of the run's sampling, after its system message. stream, index and sample tell draws apart; a question's first
  // samples are the same however many there are.
  Request request(Conversation messages, dim stream, dim index, dim sample = 0) const;
  std::vector<Reply> ask(std::string_view stage, const std::vector<Request>& requests) {
    return teacher_.answer(stage, requests);
  }
  AskedModel& teacher() { return teacher_; }
  AskedModel& student();
  Rng rng(dim stream, dim index, dim sample = 0) const {
    return Rng(mix64(mix64(mix64(choice.seed, std::uint64_t(stream)), std::uint64_t(index)), std::uint64_t(sample)));
  }

  // A reply as it may be used: false, and counted, when it was cut off, is empty, or goes round in circles.
  bool usable(const Reply& reply);
  // Through the filters of length and duplicates into the output. False: dropped, and counted.
  bool emit(Record record);
  void drop(std::string_view filter, dim count = 1);

  const std::vector<Record>& records() const { return records_; }
  const DropCounts& dropped() const { return dropped_; }

 private:
  AskedModel& teacher_;
  AskedModel* student_;
  NearDuplicates duplicates_;
  std::vector<Record> records_;
  DropCounts dropped_;
};

// A question and its answer.
inline Conversation pair_of(Conversation question, std::string answer) {
  question.push_back({"assistant", std::move(answer)});
  return question;
}
inline Conversation user(std::string text) { return {{"user", std::move(text)}}; }

}  // namespace pith::synth
