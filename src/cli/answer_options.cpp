#include "cli/answer_options.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "core/error.h"

namespace pith::cli {

void add_answer_options(CLI::App& app, AnswerArguments& a) {
  SamplerOptions& s = a.options.sampler;
  app.add_option("-n,--max-tokens", a.options.max_tokens, "tokens to write")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_kv(app, a.kv, "as the model says");
  add_activations(app, a.activations, "as the model says");
  add_exact(app, a.session.exact);
  app.add_option("-t,--temperature", s.temperature, "0: always the most likely token")->capture_default_str();
  app.add_option("--top-k", s.top_k, "keep the K most likely (0: all)")->capture_default_str();
  app.add_option("--top-p", s.top_p, "keep the fewest that reach this probability")->capture_default_str();
  app.add_option("--min-p", s.min_p, "keep those with this share of the best one's probability")->capture_default_str();
  app.add_option("--repetition-penalty", s.repetition_penalty, "1: none")->capture_default_str();
  app.add_option("--seed", s.seed, "the same seed gives the same text")->capture_default_str();
  app.add_option("--stop", a.options.stop_strings, "end before this text (may be given more than once)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--ignore-end", a.options.ignore_end, "go on past end tokens");
  auto* draft = app.add_option("--speculative", a.draft,
                               "a smaller or compressed model with the same vocabulary, which guesses tokens that the "
                               "model verifies several at a time");
  app.add_option("--draft-tokens", a.session.draft_tokens, "tokens to guess at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 64))
      ->needs(draft);
  app.add_option("--prompt-cache", a.prompt_cache,
                 "a file of tokens with their keys and values: read when it is of this model, and written at the end");
  add_threads(app);
}

static SessionOptions session_of(const AnswerArguments& a) {
  SessionOptions session = a.session;
  if (!a.kv.empty()) session.kv = KvSpec(a.kv);
  if (!a.activations.empty()) session.activations = ActSpec(a.activations);
  return session;
}

AnswerModels::AnswerModels(const AnswerArguments& a) : session(session_of(a)), model(Model::open(a.model)) {
  if (a.draft.empty()) return;
  draft = Model::open(a.draft);
  session.draft = &*draft;
}

void load_prompt_cache(Session& session, const AnswerArguments& a) {
  if (a.prompt_cache.empty()) return;
  if (session.kv().codec().name != KvSpec().codec().name)
    throw Error(Blame::input, "prompt-cache",
                fmt::format("expected keys and values in f32, got {}", session.kv().text()),
                "leave out --kv or --prompt-cache");
  std::string why;
  if (!session.load(a.prompt_cache, why)) fmt::print(stderr, "pith: starting without {}: {}\n", a.prompt_cache, why);
}

void save_prompt_cache(const Session& session, const AnswerArguments& a) {
  if (!a.prompt_cache.empty()) session.save(a.prompt_cache);
}

double rate(dim tokens, double seconds) { return seconds > 0 ? double(tokens) / seconds : 0; }

std::string summary(const GenerateResult& r) {
  std::string text = fmt::format("{} prompt tokens, {:.0f}/s", r.prompt_tokens,
                                 rate(r.prompt_tokens - r.reused_tokens, r.prompt_seconds));
  if (r.reused_tokens > 0) text += fmt::format(", {} of them known", r.reused_tokens);
  text += fmt::format("; {} tokens, {:.1f}/s", r.tokens.size(), rate(dim(r.tokens.size()), r.decode_seconds));
  if (r.drafted > 0)
    text += fmt::format("; {} of {} drafted tokens accepted, {:.0f} %", r.accepted, r.drafted,
                        100.0 * double(r.accepted) / double(r.drafted));
  if (r.shifts > 0) text += fmt::format("; the oldest tokens forgotten {} times", r.shifts);
  return text + "; " + name_of(r.reason);
}

}  // namespace pith::cli
