// What steps before took away, learned again: the model as they left it is trained to give the distributions of the
// original on the calibration text (shrink and heal: Minitron, arXiv:2407.14679; Shortened LLaMA, arXiv:2402.02834).
#include "compress/method.h"
#include "core/error.h"
#include "io/sha256.h"
#include "train/distill.h"
#include "train/result.h"
#include "train/trainer.h"

namespace pith {

namespace {

TrainingData data_of(const CalibrationTokens& tokens) {
  TrainingData out;
  Sha256 sha;
  for (const std::vector<Token>& sequence : tokens.sequences) {
    if (sequence.size() < 2) continue;
    TrainingSequence s{sequence, std::vector<char>(sequence.size(), 1)};
    s.predicted[0] = 0;
    sha.update(std::as_bytes(std::span(sequence)));
    out.sequences.push_back(std::move(s));
  }
  if (out.sequences.empty()) throw input_error("heal", "expected a text of some tokens to learn from, got none");
  out.hash = sha.hex();
  return out;
}

DistillLoss loss_of(const Options& options) {
  DistillLoss loss;
  loss.divergence = &divergence_or_throw(options.text("loss"));
  loss.cross_entropy = options.number("cross_entropy");
  return loss;
}

std::string fault_of_loss(std::string_view text) {
  std::string names;
  for (const Divergence* d : divergences()) {
    if (d->name == text) return {};
    names.append(names.empty() ? "one of " : ", ").append(d->name);
  }
  return names;
}

Model heal_reshape(const ReshapeTask& task, const Options& options) {
  const TrainingData data = data_of(task.tokens());
  Trainable trainable(task.model, {});
  const auto objective = distill_objective(loss_of(options), task.model, task.source, data.longest(), kMostSequences);
  TrainOptions how;
  how.rate = options.number("rate");
  how.steps = dim(options.number("steps"));
  how.epochs = options.number("epochs");
  how.batch = dim(options.number("batch"));
  how.seed = std::uint64_t(options.number("seed"));
  how.keep_zeros = true;
  train(task.model, trainable, data, *objective, how, task.progress);
  return learned_model(task.model, trainable.take_values());
}

std::vector<OptionSpec> options() {
  return {
      {.name = "loss",
       .default_value = "forward_kl",
       .help = "how far the distributions are from the original's (docs/training.md)",
       .choices = {},
       .fault = fault_of_loss},
      {.name = "cross_entropy",
       .default_value = "0",
       .help = "share of the loss on the text's own tokens",
       .choices = {},
       .low = 0,
       .high = 1},
      {.name = "epochs",
       .default_value = "1",
       .help = "passes over the calibration text, where steps is 0",
       .choices = {},
       .low = 0.001,
       .high = 1000},
      {.name = "steps",
       .default_value = "0",
       .help = "in all; 0: as the epochs are",
       .choices = {},
       .low = 0,
       .high = 1e9},
      {.name = "batch", .default_value = "4", .help = "sequences of a step", .choices = {}, .low = 1, .high = 4096},
      {.name = "rate",
       .default_value = "2e-4",
       .help = "highest learning rate, which then falls by a cosine",
       .choices = {},
       .low = 1e-9,
       .high = 1},
      {.name = "seed", .default_value = "0", .help = "of the order of the text", .choices = {}, .low = 0, .high = 1e9}};
}

}  // namespace

extern const Method heal_method;
const Method heal_method{
    .name = "heal",
    .family = "training",
    .summary =
        "trains what the steps before it left to give the original's distributions again: after pruning or factoring",
    .paper = "shrink and heal: Minitron (arXiv:2407.14679), Shortened LLaMA (arXiv:2402.02834)",
    .options = options(),
    .needs = Needs::text,
    .reshape = heal_reshape,
};

}  // namespace pith
