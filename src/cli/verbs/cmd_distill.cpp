#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <numeric>

#include "cli/command.h"
#include "cli/training_options.h"
#include "core/error.h"
#include "core/group.h"
#include "train/distill.h"

namespace pith::cli {

namespace {

struct DistillFlags {
  TrainingFlags training;
  std::string teacher, loss = "jsd", cache, gamma = "token", hidden_kind = "cosine", hidden_layers = "uniform",
                       vocabulary = "same", on_policy, hidden_map = "none", relation_layers = "last",
                       attention_layers = "last";
  double hidden = 0, cross_entropy = -1, teacher_mix = -1, filter_rate = 1e-3, relations = 0, attention = 0;
  long long filter_steps = 100, relation_heads = 0, replay = -1;
  DistillLoss distill;
  long long top_k = 64;
};

// What the objective views, for as long as the run.
struct Held {
  std::optional<Model> teacher;
  std::optional<TeacherCache> cache;
};

double share_or_throw(const char* option, const std::string& text, const char* words) {
  double value = -1;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1))
    throw input_error(option, "expected {}a number from 0 to 1, got {}", words, text);
  return value;
}

// How much the student's own answers count, as the loss and the flags have it.
void choose_rollout(DistillFlags& f) {
  Rollout& r = f.training.rollout;
  const bool policy = f.loss == "minillm";
  r.adaptive = f.on_policy == "adaptive";
  if (!r.adaptive)
    r.share = f.on_policy.empty() ? (policy ? 0.5 : 0) : share_or_throw("on-policy", f.on_policy, "adaptive or ");
  r.replay = f.replay >= 0 ? dim(f.replay) : r.adaptive ? 1000 : 0;
  if (r.adaptive && f.training.validation == 0) f.training.validation = 0.05;
  if (!policy) {
    if (f.teacher_mix >= 0) throw input_error("teacher-mix", "expected --loss minillm with it, got {}", f.loss);
    return;
  }
  if (f.teacher_mix < 0) f.teacher_mix = 0.2;
  if (r.adaptive || r.replay > 0 || r.share == 0)
    throw input_error("on-policy",
                      "expected a share above 0 and no replay with minillm: answers are learned from once");
  if (r.temperature != 1)
    throw input_error("draw-temperature", "expected 1 with minillm, whose gradient is of what the models say, got {}",
                      r.temperature);
  r.teacher_mix = f.teacher_mix;
}

// Negative: token by token. Error(input).
double gamma_of(const std::string& text, const Model* teacher, const TrainingData& data) {
  if (text == "token") return -1;
  if (text == "data") {
    if (teacher) return mean_token_probability(*teacher, data, terminal_progress());
    throw Error(Blame::input, "gamma", "expected --teacher with --gamma data, got kept logits alone",
                "its value is in the report of a run with the teacher: give it as a number");
  }
  return share_or_throw("gamma", text, "data, token or ");
}

void check_together(const DistillFlags& f, bool has_teacher) {
  if (!has_teacher && f.cache.empty()) throw input_error("distill", "expected --teacher or --cache, got neither");
  const bool by_text = f.loss == "uld", policy = f.loss == "minillm",
             states = f.hidden != 0 || f.relations != 0 || f.attention != 0;
  if (!f.cache.empty()) {
    if (f.training.rollout.on())
      throw input_error("on-policy", "expected the teacher beside, not --cache: what will be said is not known before");
    if (f.training.validation != 0)
      throw input_error("validation", "expected the teacher beside, not --cache, which is of the data that is learned");
    if (states) throw input_error("hidden", "expected the teacher beside, not --cache, which keeps none of its states");
    if (by_text || f.vocabulary != "same")
      throw input_error("cache", "expected a teacher of the same vocabulary with --cache");
  }
  if (f.training.rollout.on() && (f.cross_entropy > 0 || by_text))
    throw input_error("on-policy", "expected no cross-entropy: the student's own tokens are no answers to learn");
  if (policy && f.distill.temperature != 1)
    throw input_error("temperature", "expected 1 with minillm, got {}", f.distill.temperature);
  if (f.hidden == 0 && f.hidden_map != "none") throw input_error("hidden-map", "expected --hidden with it");
  if (f.relations == 0 && f.relation_heads > 0) throw input_error("relation-heads", "expected --relations with it");
  if ((by_text || policy) && (states || f.vocabulary != "same"))
    throw input_error("loss", "expected {} without --hidden, --relations, --attention and --vocabulary", f.loss);
}

std::unique_ptr<Objective> from_cache(const DistillFlags& f, const DistillLoss& loss, const Model& student,
                                      const TrainingData& data, Held& held) {
  if (held.teacher && held.teacher->config().vocab != student.config().vocab)
    throw input_error("cache", "expected vocabularies of one size, got {} and {}", student.config().vocab,
                      held.teacher->config().vocab);
  if (!std::filesystem::exists(f.cache)) {
    if (!held.teacher) throw input_error(f.cache, "expected kept logits, found nothing; --teacher makes them");
    if (processes().first()) TeacherCache::write(f.cache, *held.teacher, data, dim(f.top_k), terminal_progress());
  }
  processes().barrier();  // until it is there
  held.cache.emplace(f.cache, data, student.config().vocab, held.teacher ? &*held.teacher : nullptr);
  return distill_objective(loss, student, *held.cache, data);
}

HiddenLoss hidden_of(const DistillFlags& f, const Model& student, const Model& teacher) {
  return {.weight = f.hidden,
          .kind = hidden_kind_or_throw(f.hidden_kind),
          .pairs = layer_pairs(f.hidden_layers, student.config().layers, teacher.config().layers),
          .map = state_map_or_throw(f.hidden_map),
          .filter_steps = dim(f.filter_steps),
          .filter_rate = f.filter_rate,
          .seed = std::uint64_t(f.training.seed)};
}

RelationLoss relations_of(const DistillFlags& f, const Model& student, const Model& teacher) {
  const dim most = std::gcd(student.config().kv_heads, teacher.config().kv_heads);
  return {.weight = f.relations,
          .heads = f.relation_heads > 0 ? dim(f.relation_heads) : most,
          .pairs = layer_pairs(f.relation_layers, student.config().layers, teacher.config().layers)};
}

AttentionLoss attention_of(const DistillFlags& f, const Model& student, const Model& teacher) {
  return {.weight = f.attention,
          .pairs = layer_pairs(f.attention_layers, student.config().layers, teacher.config().layers)};
}

std::unique_ptr<Objective> objective_of(const DistillFlags& f, const Model& student, const TrainingData& data,
                                        Held& held) {
  const std::string teacher = !f.teacher.empty()                ? f.teacher
                              : f.training.student_from.empty() ? std::string()
                                                                : f.training.model;  // of which the student was made
  check_together(f, !teacher.empty());
  if (!teacher.empty()) held.teacher.emplace(Model::open(teacher));
  if (f.loss == "uld") {
    const SortedLoss by_rank = {f.distill.temperature, f.cross_entropy < 0 ? 0.5 : f.cross_entropy};
    return distill_by_text_objective(by_rank, student, *held.teacher, data, kMostSequences);
  }
  if (f.loss == "minillm")
    return policy_objective({.teacher_mix = f.teacher_mix}, student, *held.teacher, data.longest(), kMostSequences);
  DistillLoss loss = f.distill;
  loss.divergence = &divergence_or_throw(f.loss);
  loss.cross_entropy = std::max(0.0, f.cross_entropy);
  const bool shared = f.vocabulary == "shared";
  if (held.teacher && !shared) check_same_vocabulary(student, *held.teacher);
  if (f.loss == "cakld") {
    if (shared && f.gamma == "data") throw input_error("gamma", "expected the same vocabulary with --gamma data");
    loss.options.gamma = gamma_of(f.gamma, held.teacher ? &*held.teacher : nullptr, data);
  }
  if (!f.cache.empty()) return from_cache(f, loss, student, data, held);
  return distill_objective(loss, student, *held.teacher, data.longest(), kMostSequences,
                           {hidden_of(f, student, *held.teacher), relations_of(f, student, *held.teacher),
                            attention_of(f, student, *held.teacher), shared});
}

void add_state_options(CLI::App& app, DistillFlags& f) {
  app.add_option("--hidden", f.hidden, "how much states between blocks count beside the loss, against the teacher's")
      ->capture_default_str();
  app.add_option("--hidden-kind", f.hidden_kind, "cosine: of states divided by their lengths, or mse")
      ->capture_default_str();
  app.add_option(
         "--hidden-layers", f.hidden_layers,
         "which blocks are compared, student:teacher from 0, e.g. 3:4,11:15; last; or uniform: all of the student")
      ->capture_default_str();
  app.add_option(
         "--hidden-map", f.hidden_map,
         "what states go through first: none (both must be as wide), projection: of the student's, learned on "
         "the way (FitNets), or filters: of both, learned to give the text's tokens before the first step (TED)")
      ->capture_default_str();
  app.add_option("--filter-steps", f.filter_steps, "of 4 sequences, in which filters are learned first")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--filter-rate", f.filter_rate, "the learning rate there, falling by a line")->capture_default_str();
  app.add_option("--relations", f.relations,
                 "how much relations between tokens' queries, keys and values count beside the loss (MiniLMv2)")
      ->capture_default_str();
  app.add_option("--relation-layers", f.relation_layers, "as --hidden-layers")->capture_default_str();
  app.add_option("--attention", f.attention,
                 "how much attention maps count beside the loss, head by head (MiniLM); as many heads as the teacher's")
      ->capture_default_str();
  app.add_option("--attention-layers", f.attention_layers, "as --hidden-layers")->capture_default_str();
  app.add_option("--relation-heads", f.relation_heads,
                 "parts that queries, keys and values are cut into (default: what both numbers of key-value heads "
                 "have in common)");
}

void add_rollout_options(CLI::App& app, DistillFlags& f) {
  app.add_option(
      "--on-policy", f.on_policy,
      "share of the steps that learn from what the student itself says after the data's beginnings (GKD); "
      "adaptive: from 0, more by a tenth whenever the validation loss rises (DistiLLM) (default: 0; 0.5 with "
      "minillm)");
  app.add_option("--new-tokens", f.training.rollout.new_tokens, "most that it says")->capture_default_str();
  app.add_option("--draw-temperature", f.training.rollout.temperature, "how it draws them")->capture_default_str();
  app.add_option("--rise", f.training.rollout.rise, "of the validation loss, that adaptive answers")
      ->capture_default_str();
  app.add_option(
      "--replay", f.replay,
      "own texts that are kept to be learned from again, more and more instead of new ones (default: 0; 1000 "
      "with adaptive)");
  app.add_option("--teacher-mix", f.teacher_mix,
                 "minillm: how much of the teacher's distribution answers are drawn from (default: 0.2)");
}

void set_up(CLI::App& app) {
  auto f = std::make_shared<DistillFlags>();
  add_training_options(app, f->training);
  app.add_option("--student-from", f->training.student_from,
                 "shrink and heal: METHOD[:option=value,...][+...] makes the student of the model, which is then its "
                 "teacher, e.g. depth:layers=4 or flap:ratio=0.2");
  std::string losses;
  for (const Divergence* d : divergences())
    losses += fmt::format("{}{} ({})", losses.empty() ? "" : "; ", d->name, d->summary);
  losses +=
      "; uld (probabilities compared by rank, for a teacher of any other vocabulary, with --cross-entropy); minillm "
      "(reverse_kl of "
      "whole answers that are drawn: a policy gradient)";
  app.add_option("--teacher", f->teacher, "the model to learn from, in any format");
  app.add_option("--vocabulary", f->vocabulary,
                 "same: other vocabularies are refused; shared: where one is part of the other, the teacher reads the "
                 "student's tokens and both are compared over those that both have")
      ->check(CLI::IsMember({"same", "shared"}))
      ->capture_default_str();
  app.add_option("--loss", f->loss, losses)->capture_default_str();
  app.add_option("--beta", f->distill.options.beta, "of jsd")->capture_default_str();
  app.add_option("--alpha-skew", f->distill.options.alpha, "of the skewed losses")->capture_default_str();
  app.add_option("--gamma", f->gamma,
                 "of cakld: a number; data, the teacher's mean probability for the data's tokens, as the paper has it; "
                 "token, each place's largest teacher probability")
      ->capture_default_str();
  app.add_option("--temperature", f->distill.temperature, "divides both models' logits; the loss counts its square")
      ->capture_default_str();
  app.add_option("--cross-entropy", f->cross_entropy,
                 "share of the loss on the text's own tokens (default: 0; 0.5 with uld)")
      ->check(CLI::Range(0.0, 1.0));
  add_state_options(app, *f);
  add_rollout_options(app, *f);
  app.add_option("--cache", f->cache,
                 "a file of the teacher's likeliest tokens for this data: made where it is not there, and then the "
                 "teacher need not run again");
  app.add_option("--top-k", f->top_k,
                 "tokens kept for each predicted one, 6 bytes each (8 where the vocabulary is over 65536)")
      ->capture_default_str();
  app.callback([f] {
    Held held;
    choose_rollout(*f);
    run_training(f->training, "-distilled", [&](const Model& student, const TrainingData& data, const TrainOptions&) {
      return TrainingLoss{objective_of(*f, student, data, held), f->teacher.empty() && !f->training.student_from.empty()
                                                                     ? f->training.model
                                                                 : f->teacher.empty() ? f->cache
                                                                                      : f->teacher};
    });
  });
}

}  // namespace

extern const Command distill_command;
const Command distill_command = {
    "distill", "train a model to give the distributions of another",
    "  pith distill pruned/ --teacher model/ --data c4.txt --loss jsd --steps 200 -o student/\n"
    "  pith distill model/ --student-from depth:layers=6 --data c4.txt --steps 200 -o smaller/\n"
    "  pith distill model-q3_k.gguf --teacher model/ --data c4.txt --lora 16 -o recovered-adapter.gguf\n"
    "  pith distill small/ --teacher large/ --data chats.jsonl --loss reverse_kl --on-policy 0.5\n"
    "  pith distill small/ --teacher large/ --data chats.jsonl --loss skew_kl --on-policy adaptive\n"
    "  pith distill small/ --teacher large/ --data chats.jsonl --loss minillm\n"
    "  pith distill small/ --teacher large/ --data c4.txt --hidden 1 --hidden-map filters --relations 1\n"
    "  pith distill pruned/ --teacher model/ --data c4.txt --loss forward_kl --cache c4.logits --epochs 3\n"
    "  pith distill small/ --teacher other-family/ --data c4.txt --loss uld\n"
    "  pith distill pruned/ --teacher model/ --data c4.txt --loss cakld --gamma data --hidden 0.5",
    set_up, true};

}  // namespace pith::cli
