#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

#include "cli/command.h"
#include "cli/output_files.h"
#include "core/error.h"
#include "core/memory.h"
#include "report/synthesis.h"
#include "synth/models/endpoint.h"
#include "synth/models/local_model.h"

namespace pith::cli {

namespace {

struct SynthesizeArguments {
  std::string pipeline, teacher, student, out, topics, journal, dedup = "exact", teacher_model;
  std::vector<std::string> data;
  dim limit = 0;
  synth::RunChoice choice;
  synth::LocalChoice local;
  bool overwrite = false, json = false, dry_run = false;
};

std::unique_ptr<synth::TextModel> open(const std::string& name, const SynthesizeArguments& a) {
  if (!synth::is_endpoint(name)) return std::make_unique<synth::LocalModel>(name, a.local);
  const char* key = std::getenv("PITH_API_KEY");
  return std::make_unique<synth::Endpoint>(
      synth::EndpointChoice{.url = name, .model = a.teacher_model, .key = key ? key : "", .requests = a.local.slots});
}

synth::Job job_of(const SynthesizeArguments& a) {
  synth::Job job;
  const NamedOptions named = named_options(a.pipeline);
  job.pipeline = &synth::pipeline_or_throw(named.name);
  job.options = Options(named.name, job.pipeline->options, named.given);
  job.choice = a.choice;
  job.choice.duplicates = synth::duplicate_choice(a.dedup);
  if (job.pipeline->local && synth::is_endpoint(a.teacher))
    throw Error(Blame::input, "teacher", fmt::format("expected a model file for {}, got an endpoint", named.name),
                "it needs the teacher's distributions");
  const std::vector<std::filesystem::path> files(a.data.begin(), a.data.end());
  job.seeds = synth::read_seeds(files, a.limit);
  if (!a.topics.empty()) job.topics = synth::read_topics(a.topics);
  return job;
}

void make(const SynthesizeArguments& a, const synth::Job& job, synth::TextModel& teacher) {
  const std::unique_ptr<synth::TextModel> student =
      a.student.empty() || !job.pipeline->student ? nullptr : open(a.student, a);
  const bool keep = !a.journal.empty();
  const std::string journal_file = keep ? a.journal : a.out + ".journal";
  synth::Outcome outcome;
  {
    synth::ReplyJournal journal(journal_file);
    outcome = synth::synthesize(job, teacher, student.get(), journal, terminal_progress());
    if (!outcome.records.empty()) {
      write_whole(a.out, synth::lines_of(outcome));
      if (!keep) std::filesystem::remove(journal_file);
    }
  }
  terminal_progress().end();
  const report::SynthesisReport report = {
      a.out, a.data, dim(job.seeds.size()), dim(std::filesystem::file_size(a.out)), peak_ram_bytes(), &outcome};
  if (a.json) return print(report::synthesis_json(report));
  print(report::synthesis_text(report) + fmt::format("wrote {}\n", a.out));
}

void run(SynthesizeArguments& a) {
  const synth::Job job = job_of(a);
  if (a.dry_run) {
    const auto teacher = open(a.teacher, a);
    const synth::Plan plan = synth::plan(job, *teacher);
    return print(a.json ? report::plan_json(plan, dim(job.seeds.size()))
                        : report::plan_text(plan, dim(job.seeds.size())));
  }
  if (a.out.empty()) throw input_error("out", "expected a file to write, got none");
  if (!a.overwrite && std::filesystem::exists(a.out))
    throw Error(Blame::input, a.out, "expected a place for the output, something is there", "--overwrite replaces it");
  if (job.pipeline->student && a.student.empty())
    throw Error(Blame::input, job.pipeline->name, "expected --student, got none", "the model that is to learn");
  const auto teacher = open(a.teacher, a);
  make(a, job, *teacher);
}

void add_sampling(CLI::App& app, SynthesizeArguments& a) {
  synth::RunChoice& c = a.choice;
  app.add_option("--samples", c.samples, "answers for each question")->capture_default_str();
  app.add_option("--count", c.count, "instructions to make: self_instruct, lamini, lion")->capture_default_str();
  app.add_option("-t,--temperature", c.sampling.temperature, "0: always the most likely token")->capture_default_str();
  app.add_option("--top-k", c.sampling.top_k, "keep the K most likely (0: all)")->capture_default_str();
  app.add_option("--top-p", c.sampling.top_p, "keep the fewest that reach this probability")->capture_default_str();
  app.add_option("--repetition-penalty", c.sampling.repetition_penalty, "1: none")->capture_default_str();
  app.add_option("-n,--max-tokens", c.sampling.max_tokens, "most tokens of an answer")->capture_default_str();
  app.add_option("--seed", c.seed, "the same seed gives the same data")->capture_default_str();
  app.add_option("--system", c.system, "what the teacher is told first; the student is not");
}

void add_filters(CLI::App& app, SynthesizeArguments& a) {
  synth::TextFilters& f = a.choice.filters;
  app.add_option("--min-words", f.min_words, "of an answer")->capture_default_str()->group("Filters");
  app.add_option("--max-words", f.max_words, "of an answer; 0: any number")->capture_default_str()->group("Filters");
  app.add_option("--repetition", f.repetition, "most of an answer's runs of four words that it has said before; 1: any")
      ->capture_default_str()
      ->group("Filters");
  app.add_flag("--keep-unfinished", f.keep_unfinished, "keep answers that were cut off at --max-tokens")
      ->group("Filters");
  app.add_option("--dedup", a.dedup,
                 "drop what was there before: none, exact, minhash:T (Jaccard index of characters, from T), rouge:T "
                 "(ROUGE-L, from T)")
      ->capture_default_str()
      ->group("Filters");
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<SynthesizeArguments>();
  std::string names;
  for (const synth::Pipeline* p : synth::pipelines()) names += fmt::format("\n{:>14}  {}", p->name, p->summary);
  app.add_option("pipeline", a->pipeline, "PIPELINE or PIPELINE:option=value,... (options: pith pipelines):" + names)
      ->required();
  app.add_option("--teacher", a->teacher,
                 "a Hugging Face folder, a .gguf file, or http://127.0.0.1:PORT of a server with OpenAI's API")
      ->required();
  app.add_option("--teacher-model", a->teacher_model, "by name, of a server that has several (default: its first)");
  app.add_option("--student", a->student, "the model that is to learn: lion, reflect");
  app.add_option("-d,--data", a->data,
                 "questions: .jsonl (.json) with messages, instruction, question, query, prompt, context or turns, and "
                 "output, answer, target, continuation or choices and gold; or text, a question a line")
      ->required();
  app.add_option("--limit", a->limit, "only the first N records of each file (0: all)")->check(CLI::NonNegativeNumber);
  app.add_option("--topics", a->topics, "a file with a topic a line: lamini");
  app.add_option("-o,--out", a->out, "the .jsonl to write, for `pith finetune --data` and `pith distill --data`");
  add_sampling(app, *a);
  add_filters(app, *a);
  app.add_option("--slots", a->local.slots, "requests that run at once")
      ->capture_default_str()
      ->check(CLI::Range(2, 1024));
  app.add_option("--context", a->local.context, "most tokens of prompt and answer (0: the model's own limit)")
      ->check(CLI::NonNegativeNumber);
  add_kv(app, a->local.kv, "as the model says");
  add_activations(app, a->local.activations, "as the model says");
  add_exact(app, a->local.exact);
  app.add_option("--journal", a->journal,
                 "a file that keeps every reply, also for other runs (default: OUT.journal, gone at the end). The same "
                 "command after a stop goes on from it, to the same bytes");
  app.add_flag("--dry-run", a->dry_run, "say what would be asked first, and ask nothing");
  app.add_flag("--overwrite", a->overwrite, "replace an existing output");
  app.add_flag("--json", a->json, "machine-readable output");
  add_threads(app);
  app.callback([a] { run(*a); });
}

}  // namespace

extern const Command synthesize_command;
const Command synthesize_command = {
    "synthesize", "make training data from a teacher's answers (black-box distillation)",
    "  pith synthesize seqkd --teacher large/ --data questions.txt --samples 2 -o data.jsonl\n"
    "  pith synthesize cot --teacher large/ --data gsm8k.jsonl --samples 8 -t 0.7 -n 400 -o cot.jsonl\n"
    "  pith synthesize step_by_step:labels=agreed,shots=4 --teacher large/ --data qa.jsonl -o tasks.jsonl\n"
    "  pith synthesize self_instruct --teacher http://127.0.0.1:8080 --data seeds.jsonl --count 500 -o new.jsonl\n"
    "  pith synthesize lion --teacher large/ --student small/ --data new.jsonl --count 200 -o round1.jsonl\n"
    "  pith synthesize reflect:share=0.5 --teacher large/ --student small/ --data chats.jsonl -o better.jsonl\n"
    "  pith finetune small/ --data data.jsonl",
    set_up};

}  // namespace pith::cli
