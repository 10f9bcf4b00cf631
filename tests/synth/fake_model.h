// A model whose replies are a function.
#pragma once
#include <functional>
#include <stdexcept>

#include "synth/synthesize.h"

namespace pith::synth::test {

class FakeModel : public TextModel {
 public:
  using Say = std::function<std::string(const Request&)>;
  explicit FakeModel(Say say, std::string name = "fake") : say_(std::move(say)), name_(std::move(name)) {}
  ModelIdentity identity() const override { return {name_, "hash of " + name_}; }
  // "...#cut" is a reply that did not end by itself.
  void answer(std::span<const Request> requests, const std::function<void(std::size_t, const Reply&)>& done) override {
    for (std::size_t k = 0; k < requests.size(); ++k) {
      const std::size_t i = backwards ? requests.size() - 1 - k : k;
      if (dies_after >= 0 && asked == dies_after) throw std::runtime_error("killed");
      ++asked;
      Reply reply = {say_(requests[i]), 3, ReplyEnd::stop};
      if (reply.text.ends_with("#cut")) {
        reply.text.resize(reply.text.size() - 4);
        reply.end = ReplyEnd::length;
      }
      done(i, reply);
    }
  }
  void score(std::span<const ScoreRequest> requests,
             const std::function<void(std::size_t, const TextScore&)>& done) override {
    for (std::size_t i = 0; i < requests.size(); ++i) ++scored, done(i, score_of(requests[i]));
  }
  dim prompt_tokens(const Conversation& messages) const override { return dim(messages.back().content.size()); }

  std::function<TextScore(const ScoreRequest&)> score_of;
  bool backwards = false;  // the order of replies
  dim asked = 0, scored = 0, dies_after = -1;

 private:
  Say say_;
  std::string name_;
};

inline SeedItem seed_of(std::string question, std::string answer = "") {
  SeedItem seed;
  seed.source = "data, line 1";
  seed.question = std::move(question);
  seed.answer = std::move(answer);
  return seed;
}

inline Job job_of(const char* pipeline, std::vector<SeedItem> seeds, const std::vector<std::string>& options = {}) {
  Job job;
  job.pipeline = &pipeline_or_throw(pipeline);
  job.options = Options(pipeline, job.pipeline->options, options);
  job.seeds = std::move(seeds);
  return job;
}

inline Outcome made(const Job& job, FakeModel& teacher, FakeModel* student = nullptr) {
  ReplyJournal journal;
  return synthesize(job, teacher, student, journal);
}

// "question => answer" of each record.
inline std::vector<std::string> pairs_of(const Outcome& outcome) {
  std::vector<std::string> out;
  for (const Record& r : outcome.records)
    out.push_back(r.messages[r.messages.size() - 2].content + " => " + r.answer());
  return out;
}

inline const std::string& question_of(const Request& r) { return r.messages.back().content; }
inline bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace pith::synth::test
