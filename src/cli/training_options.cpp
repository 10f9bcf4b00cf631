#include "cli/training_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/command.h"
#include "cli/compress_options.h"
#include "cli/output_files.h"
#include "compress/pipeline.h"
#include "compress/policy.h"
#include "compress/prepare.h"
#include "core/error.h"
#include "core/group.h"
#include "core/memory.h"
#include "formats/format.h"
#include "model/factored.h"
#include "report/human.h"
#include "report/training.h"
#include "train/result.h"
#include "train/validation.h"

namespace pith::cli {

void add_training_options(CLI::App& app, TrainingFlags& o) {
  app.add_option("model", o.model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("-d,--data", o.data,
                 "what to learn from: plain text, or .jsonl (.json) with messages, text, or instruction and output")
      ->required();
  app.add_option("-o,--out", o.out, "the model or adapter to write (default: beside the model)");
  app.add_option("--to", o.to, "container of the model: gguf, hf or pith (default: as the model, or as --out ends)");
  app.add_option("-f,--format", o.format, "of the model's values: f32, f16, bf16 (default: as the model, else bf16)");
  app.add_option("--lora", o.lora,
                 "learn adapters of this rank; the model itself, in whatever format, stays as it is (QLoRA)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--alpha", o.alpha, "how much adapters count, times 1 / rank (default: twice the rank)");
  app.add_flag("--dora", o.dora, "of adapters: learn the rows' lengths apart from their directions (DoRA)");
  app.add_option("--roles", o.roles, "which matrices get adapters, e.g. 'attn_q|attn_v' (default: all linear layers)");
  app.add_flag("--norms", o.norms, "learn the norms alone");
  app.add_flag("--scales", o.scales,
               "learn only the scales of a quantized model's groups; its codes and its size stay (PEQA)");
  app.add_option("--qat", o.qat,
                 "quantization-aware: linear layers compute with what this format makes of their values, and are "
                 "written so (see: pith formats), e.g. int2_g64");
  add_activations(app, o.activations, "as they come");
  app.add_flag("--keep-zeros", o.keep_zeros, "values that are 0 stay 0: for models that were pruned");
  app.add_option("--length", o.length, "most tokens of a sequence")->capture_default_str();
  app.add_option("--batch", o.batch, "sequences of a step")->capture_default_str();
  app.add_option("--epochs", o.epochs, "passes over the data")->capture_default_str();
  app.add_option("--steps", o.steps, "instead of --epochs");
  app.add_option("--rate", o.rate,
                 "highest learning rate (default: 2e-5; 2e-4 for adapters; 1e-3 for norms; 5e-3 for scales)");
  app.add_option("--schedule", o.schedule, "of the rate: constant, linear, cosine")->capture_default_str();
  app.add_option("--warmup", o.warmup, "share of the steps in which the rate rises")->capture_default_str();
  app.add_option("--weight-decay", o.weight_decay, "of matrices")->capture_default_str();
  app.add_option(
         "--optimizer", o.optimizer,
         "adamw; adamw_8bit: its moments in 8 bits, 2 bytes a value instead of 8; sgd: with momentum; sign_sgd: by the "
         "signs of a running mean (both 4 bytes)")
      ->check(CLI::IsMember(optimizer_names()))
      ->capture_default_str();
  app.add_option("--beta1", o.beta1, "of AdamW; the momentum of sgd and sign_sgd")->capture_default_str();
  app.add_option("--beta2", o.beta2, "of AdamW")->capture_default_str();
  app.add_option("--clip", o.clip, "most of the gradient's norm; 0: any")->capture_default_str();
  app.add_option("--seed", o.seed, "of the order of data and of first factors")->capture_default_str();
  app.add_flag("--train-on-prompts", o.train_on_prompts, "predict all of a conversation, not the answers alone");
  app.add_option("--micro-tokens", o.micro_tokens, "about so many tokens at once; a step adds up as many as it takes")
      ->capture_default_str();
  app.add_option("--activation-memory", o.activation_memory,
                 "for activations that are kept from the forward pass; others are computed twice")
      ->capture_default_str();
  app.add_option("--precision", o.precision,
                 "of products: bf16 where the processor has it (values, gradients and sums stay f32), or f32")
      ->check(CLI::IsMember({"bf16", "f32"}))
      ->capture_default_str();
  app.add_option("--validation", o.validation,
                 "share of the data, from its end, whose loss is measured and which is not learned from")
      ->capture_default_str();
  app.add_option("--validate-every", o.validate_every,
                 "steps between its measurements (default: a tenth of the steps)");
  app.add_option("--checkpoint-every", o.checkpoint_every, "steps between checkpoints, kept as OUT.checkpoint");
  app.add_option("--stop-after", o.stop_after, "end after so many steps of the run, with a checkpoint");
  app.add_flag("--resume", o.resume, "go on from OUT.checkpoint, to the bytes of a run that was not stopped");
  app.add_flag("--overwrite", o.overwrite, "replace an existing output");
  app.add_flag("--json", o.json, "machine-readable output");
  add_threads(app);
}

namespace {

TrainWhat what_of(const TrainingFlags& o) {
  if (int(o.norms) + int(o.scales) + int(o.lora > 0) > 1)
    throw input_error("train", "expected one of --lora, --norms and --scales, got more");
  if (o.lora == 0 && (o.alpha != 0 || !o.roles.empty() || o.dora))
    throw input_error("train", "expected --lora with --alpha, --roles or --dora");
  return o.lora > 0 ? TrainWhat::lora : o.norms ? TrainWhat::norms : o.scales ? TrainWhat::scales : TrainWhat::full;
}

TrainOptions options_of(const TrainingFlags& o, const std::string& target) {
  TrainOptions t;
  t.choice = {.what = what_of(o), .rank = dim(o.lora), .alpha = o.alpha != 0 ? o.alpha : 2 * double(o.lora)};
  t.choice.dora = o.dora;
  t.choice.seed = t.seed = std::uint64_t(o.seed);
  t.choice.bf16 = o.precision == "bf16";
  t.choice.optimizer = optimizer_or_throw(o.optimizer);
  t.validate_every = dim(o.validate_every);
  if (!o.roles.empty()) {
    const Selection roles = parse_selection(o.roles);
    if (!roles.layers.empty()) throw input_error("roles", "expected roles of all layers, got {}", o.roles);
    t.choice.roles = roles.roles;
  }
  t.adamw = {.beta1 = o.beta1, .beta2 = o.beta2, .decay = o.weight_decay};
  t.schedule = schedule_or_throw(o.schedule);
  constexpr double kRates[] = {2e-5, 2e-4, 1e-3, 5e-3};
  if (t.choice.optimizer == Optimizer::sgd && o.rate == 0)
    throw input_error("rate", "expected one with sgd, whose rates are unlike AdamW's, got none");
  t.rate = o.rate != 0 ? o.rate : kRates[std::size_t(t.choice.what)];
  t.warmup = o.warmup;
  t.clip = o.clip;
  t.epochs = o.epochs;
  if (o.keep_zeros && t.choice.what != TrainWhat::full)
    throw input_error("keep-zeros", "expected all values to be learned, not --lora, --norms or --scales");
  t.keep_zeros = o.keep_zeros;
  t.steps = dim(o.steps);
  t.batch = dim(o.batch);
  t.micro_tokens = dim(o.micro_tokens);
  t.activation_bytes = parse_bytes(o.activation_memory);
  if (o.checkpoint_every > 0 || o.stop_after > 0 || o.resume) t.checkpoint = beside(target, ".checkpoint");
  t.checkpoint_every = dim(o.checkpoint_every);
  t.resume = o.resume;
  t.rollout = o.rollout;
  t.made = o.student_from;
  t.group = &processes();
  return t;
}

const Format& format_of(const TrainingFlags& o, const Model& model) {
  if (!o.format.empty()) {
    for (const Format* f : {&f32_format(), &f16_format(), &bf16_format()})
      if (o.format == f->name) return *f;
    throw Error(Blame::input, "format", fmt::format("expected f32, f16 or bf16, got {}", o.format),
                "`pith quantize` stores the trained model in fewer bits");
  }
  for (const ModelTensor& t : model.tensors())
    if (is_linear(t.role) && !t.vector && is_dense(*t.weight.format)) return *t.weight.format;
  return bf16_format();
}

bool is_quantized(const Model& model) {
  const auto all = model.tensors();
  return std::any_of(all.begin(), all.end(), [](const ModelTensor& t) { return !is_dense(*t.weight.format); });
}

// How the result is written; of --qat in the formats that it was learned for.
Recipe recipe_of(const TrainingFlags& o, const Model& model) {
  Recipe recipe;
  if (!o.activations.empty()) recipe.activations = ActSpec(o.activations);
  if (!o.qat.empty()) {
    recipe.format = &format_or_throw(o.qat);
    if (is_dense(*recipe.format))
      throw input_error("qat", "expected a format of fewer bits than f32, f16 or bf16, got {}", o.qat);
    if (!o.format.empty()) throw input_error("format", "expected --qat or --format, got both");
    return recipe;
  }
  if (o.scales) return recipe;  // formats as they are
  recipe.format = recipe.embed_format = &format_of(o, model);
  if (o.norms && o.format.empty() && is_quantized(model)) recipe.format = recipe.embed_format = nullptr;  // as they are
  return recipe;
}

Container container_of(const TrainingFlags& o, const Model& model) {
  if (!o.qat.empty() || o.scales) return choose_container(o.to, o.out, recipe_of(o, model), model);
  const Container c = !o.to.empty()                      ? container_or_throw(o.to)
                      : o.out.ends_with(".gguf")         ? Container::gguf
                      : o.out.empty() && model.is_gguf() ? Container::gguf
                      : is_factored(model)               ? Container::pith
                                                         : Container::hf;
  if (c != Container::gguf && c != Container::hf && c != Container::pith)
    throw input_error("to", "expected gguf, hf or pith, got {}", o.to);
  return c;
}

std::string target_of(const TrainingFlags& o, const Model& model, const char* ending) {
  if (!o.out.empty()) return o.out;
  if (o.lora > 0) return adapter_target(model);
  const bool gguf = container_of(o, model) == Container::gguf;
  return beside(model.path(), ending).string() + (gguf ? ".gguf" : "");
}

dim write_result(const TrainingFlags& o, const Model& model, const Trainable& trainable, const std::string& target) {
  if (o.lora > 0) return write_adapter(target, adapter_files(model, learned_adapter(trainable)), o.overwrite);
  const Model learned = learned_model(model, trainable);
  RunLimits limits;
  limits.overwrite = o.overwrite;
  return compress(learned, recipe_of(o, model), container_of(o, model), target, limits, terminal_progress())
      .output_bytes;
}

// Formats as the result will have them.
void round_as_written(const TrainingFlags& o, const Model& model, TrainChoice& choice) {
  const Recipe recipe = recipe_of(o, model);
  if (recipe.activations) choice.activations = *recipe.activations;
  if (o.qat.empty()) return;
  choice.rounded.resize(model.tensors().size());
  for (const TensorPlan& plan : choose_formats(model, recipe, container_of(o, model)))
    if (!is_dense(*plan.to)) choice.rounded[plan.source] = plan.to;
}

// The student that the flags make of the model; none: the model itself.
std::optional<Model> smaller_model(const TrainingFlags& o, const Model& source) {
  if (o.student_from.empty()) return std::nullopt;
  if (o.lora > 0)
    throw Error(Blame::input, "student-from", "expected a student that is written whole, got --lora",
                "shrink first (pith prune), then learn an adapter for what was written");
  Recipe recipe;
  recipe.calibration = CalibrationChoice{.files = {o.data.begin(), o.data.end()}, .samples = 32, .length = 256};
  for (std::size_t begin = 0; begin <= o.student_from.size();) {
    const std::size_t end = std::min(o.student_from.find('+', begin), o.student_from.size());
    NamedOptions step = named_options(std::string_view(o.student_from).substr(begin, end - begin));
    if (!method_or_throw(step.name).reshape)
      throw Error(Blame::input, "student-from",
                  fmt::format("expected methods that make a smaller model, got {}", step.name),
                  "depth, flap, wanda_sp, minitron, slicegpt, svd_llm, ... (see: pith methods)");
    recipe.steps.push_back({std::move(step.name), std::move(step.given), {}});
    begin = end + 1;
  }
  return reshaped_model(source, recipe, Container::pith, terminal_progress());
}

std::string what_text(const TrainChoice& choice) {
  if (choice.what == TrainWhat::lora)
    return fmt::format("adapters of rank {}, alpha {:g}{}", choice.rank, choice.alpha,
                       choice.dora ? ", and lengths of rows (DoRA)" : "");
  if (choice.what == TrainWhat::norms) return "norms";
  if (choice.what == TrainWhat::scales) return "scales";
  return choice.rounded.empty() ? "all values" : "all values, rounded on the way";
}

}  // namespace

void run_training(const TrainingFlags& o, const char* ending, const MakeLoss& make_loss) {
  const Model source = Model::open(o.model);
  const std::optional<Model> smaller = smaller_model(o, source);
  const Model& model = smaller ? *smaller : source;
  const std::string target = target_of(o, model, ending);
  if (!o.overwrite && std::filesystem::exists(target))
    throw Error(Blame::input, target, "expected a place for the output, something is there", "--overwrite replaces it");
  TrainOptions options = options_of(o, target);
  if (o.dora && model.is_gguf())
    throw Error(Blame::input, "dora", "expected a base as a Hugging Face folder: GGUF adapters have no magnitudes",
                "pith convert MODEL --to hf writes one");
  round_as_written(o, model, options.choice);
  TrainingData data = training_data(model.tokenizer(), model.config(),
                                    {{o.data.begin(), o.data.end()}, dim(o.length), o.train_on_prompts});
  std::optional<TrainingData> validation;
  if (o.validation != 0) validation.emplace(split_validation(data, o.validation));
  options.validation = validation ? &*validation : nullptr;
  const TrainingLoss loss = make_loss(model, data, options);
  Trainable trainable(model, options.choice);
  dim taken = 0;
  const auto after_step = [&](const TrainStep&) { return ++taken != o.stop_after; };
  report::TrainingReport report;
  report.run = train(model, trainable, data, *loss.objective, options, terminal_progress(), after_step);
  if (!processes().first()) return;
  const bool finished = dim(report.run.steps.size()) == report.run.planned;
  if (finished) report.output_bytes = write_result(o, model, trainable, target);
  if (finished && !options.checkpoint.empty()) std::filesystem::remove(options.checkpoint);
  report.model = model.path().string();
  report.teacher = loss.teacher;
  report.output = target;
  report.what = what_text(options.choice);
  report.loss = loss.objective->describe();
  report.data_files = o.data;
  report.sequences = dim(data.sequences.size());
  report.data_tokens = data.tokens();
  report.predicted_tokens = data.predicted();
  report.data_hash = data.hash;
  report.options = options;
  report.peak_ram_bytes = peak_ram_bytes();
  report.notes = data.notes;
  terminal_progress().end();
  const std::string json = report::training_json(report);
  write_whole(beside(target, ".report.json"), json);
  write_whole(beside(target, ".report.md"), report::training_markdown(report));
  if (o.json) return print(json);
  print(report::training_text(report) +
        (finished ? fmt::format("wrote {} ({}) and {}\n", target, report::human_bytes(report.output_bytes),
                                beside(target, ".report.md").string())
                  : fmt::format("stopped; --resume goes on from {}\n", options.checkpoint.string())));
}

}  // namespace pith::cli
