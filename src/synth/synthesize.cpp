#include "synth/synthesize.h"

#include "core/error.h"
#include "model/sampler.h"

namespace pith::synth {

namespace {

void check_job(const Job& job, bool has_student) {
  const RunChoice& c = job.choice;
  const Sampling& s = c.sampling;
  Sampler(SamplerOptions{
      .temperature = s.temperature, .top_k = s.top_k, .top_p = s.top_p, .repetition_penalty = s.repetition_penalty});
  if (s.max_tokens < 1) throw input_error("max-tokens", "expected a number from 1, got {}", s.max_tokens);
  if (c.samples < 1) throw input_error("samples", "expected a number from 1, got {}", c.samples);
  if (c.samples > 1 && s.temperature == 0)
    throw Error(Blame::input, "samples", fmt::format("expected 1 at temperature 0, got {}", c.samples),
                "they would all be the same; -t 0.7 draws different ones");
  if (c.count < 1) throw input_error("count", "expected a number from 1, got {}", c.count);
  check_text_filters(c.filters);
  if (job.seeds.empty()) throw input_error("data", "expected at least one record, got none");
  for (const SeedItem& seed : job.seeds)
    if (job.pipeline->single && !seed.before.empty())
      throw Error(Blame::input, seed.source,
                  fmt::format("expected one question for {}, got a conversation", job.pipeline->name),
                  "give records with a question or an instruction alone");
  if (job.pipeline->answers)
    for (const SeedItem& seed : job.seeds)
      if (seed.answer.empty())
        throw Error(Blame::input, seed.source, fmt::format("expected an answer, which {} needs", job.pipeline->name),
                    "output, answer, target, continuation, or choices with gold");
  if (job.pipeline->student && !has_student)
    throw Error(Blame::input, job.pipeline->name, "expected --student, got none", "the model that is to learn");
}

// Notes the first questions, and goes no further.
struct Planner : TextModel {
  struct Enough {};
  TextModel& real;
  Plan out;
  explicit Planner(TextModel& model) : real(model) {}
  ModelIdentity identity() const override { return real.identity(); }
  void answer(std::span<const Request> requests, const std::function<void(std::size_t, const Reply&)>&) override {
    out.requests.assign(requests.begin(), requests.end());
    for (const Request& r : out.requests) {
      const dim tokens = real.prompt_tokens(r.messages);
      out.prompt_tokens = tokens < 0 || out.prompt_tokens < 0 ? -1 : out.prompt_tokens + tokens;
    }
    throw Enough();
  }
  void score(std::span<const ScoreRequest>, const std::function<void(std::size_t, const TextScore&)>&) override {
    throw Enough();
  }
  dim prompt_tokens(const Conversation& messages) const override { return real.prompt_tokens(messages); }
};

// The stage that was begun last.
struct StageName : Progress {
  std::string name;
  void begin(std::string_view stage, dim) override { name = stage; }
  void advance(dim, std::string_view) override {}
  void end() override {}
};

}  // namespace

Outcome synthesize(const Job& job, TextModel& teacher, TextModel* student, ReplyJournal& journal, Progress& progress) {
  check_job(job, student != nullptr);
  AskedModel asked_teacher(teacher, journal, progress);
  std::optional<AskedModel> asked_student;
  if (student) asked_student.emplace(*student, journal, progress);
  Run run(job.choice, job.options, job.seeds, job.topics, asked_teacher, asked_student ? &*asked_student : nullptr);
  job.pipeline->run(run);
  Outcome out;
  out.origin.pipeline = job.pipeline->name;
  for (const auto& [name, value] : job.options.all()) out.origin.options.emplace_back(name, value);
  out.origin.teacher = asked_teacher.identity();
  if (asked_student) out.origin.student = asked_student->identity();
  out.origin.seed = job.choice.seed;
  out.records = run.records();
  out.dropped = run.dropped();
  out.teacher = asked_teacher.counts();
  if (asked_student) out.student = asked_student->counts();
  return out;
}

Plan plan(const Job& job, TextModel& teacher) {
  check_job(job, true);
  Planner planner(teacher);
  StageName stage;
  ReplyJournal nothing;
  AskedModel asked(planner, nothing, stage);
  Run run(job.choice, job.options, job.seeds, job.topics, asked, &asked);
  try {
    job.pipeline->run(run);
  } catch (const Planner::Enough&) {
  }
  planner.out.stage = stage.name;
  return planner.out;
}

std::string lines_of(const Outcome& outcome) {
  std::string out;
  for (const Record& record : outcome.records) out += record_line(record, outcome.origin);
  return out;
}

}  // namespace pith::synth
