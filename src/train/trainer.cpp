#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "core/stopwatch.h"
#include "train/checkpoint.h"
#include "train/validation.h"

namespace pith {

namespace {

void check(const TrainOptions& o) {
  const auto range = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) throw input_error(name, "expected {} to {}, got {}", low, high, value);
  };
  check_adamw(o.adamw);
  check_rollout(o.rollout);
  range("learning rate", o.rate, 0, 10);
  range("floor", o.floor, 0, 1);
  range("warmup", o.warmup, 0, 1);
  range("clip", o.clip, 0, 1e9);
  range("epochs", o.epochs, 0, 1e6);
  range("steps", double(o.steps), 0, 1e9);
  range("batch", double(o.batch), 1, 1 << 20);
  range("micro-batch tokens", double(o.micro_tokens), 1, 1 << 24);
  range("steps between validations", double(o.validate_every), 0, 1e9);
  if (o.rollout.adaptive && !o.validation)
    throw input_error("on-policy", "expected data for validation where its loss decides the share, got none");
}

class Run {
 public:
  Run(const Model& model, Trainable& trainable, const TrainingData& data, Objective& objective,
      const TrainOptions& options)
      : options_(options),
        trainable_(trainable),
        data_(data),
        objective_(objective),
        group_(options.group ? *options.group : one_process()),
        order_(data.sequences.size(), options.seed) {
    check(options);
    run_.processes = group_.size();
    const double all = options.epochs * double(data.sequences.size()) / double(options.batch);
    run_.planned = options.steps > 0 ? options.steps : std::max<dim>(1, dim(std::ceil(all - 1e-9)));
    own_.emplace(options.rollout, options.seed, run_.planned);
    fingerprint_ = run_fingerprint(model, data, objective, options, run_.planned);
    check_same_run();
    schedule_ = {options.schedule, options.rate, options.floor, dim(options.warmup * double(run_.planned)),
                 run_.planned};
    if (model.has_tokenizer()) ends_ = model.tokenizer().end_tokens();
    make_backward(*trainable.network().config);
  }

  TrainRun go(Progress& progress, const std::function<bool(const TrainStep&)>& after_step) {
    if (resumes()) {
      run_.steps = load_checkpoint(options_.checkpoint, fingerprint_, state(), trainable_.network().config->vocab);
      run_.resumed_at = dim(run_.steps.size());
      for (const TrainStep& s : run_.steps)
        if (s.validation) own_->validated(*s.validation);
      trainable_.publish();
    } else {
      objective_.prepare(trainable_.network(), data_, progress);
    }
    const Stopwatch watch;
    progress.begin("training", run_.planned - run_.resumed_at);
    for (dim i = run_.resumed_at; i < run_.planned; ++i) {
      run_.steps.push_back(step(i));
      TrainStep& last = run_.steps.back();
      if (validates(i + 1)) {
        last.validation =
            validation_loss(trainable_.network(), *options_.validation, objective_, options_.micro_tokens, group_);
        own_->validated(*last.validation);
      }
      run_.tokens += last.tokens;
      run_.seconds = watch.seconds();
      progress.advance(1, fmt::format("loss {:.4f}  {:.0f} tokens/s", last.loss, run_.tokens_per_second()));
      const bool goes_on = !after_step || after_step(last);
      const bool due = !goes_on || (options_.checkpoint_every > 0 && (i + 1) % options_.checkpoint_every == 0);
      if (due && group_.first() && !options_.checkpoint.empty())
        save_checkpoint(options_.checkpoint, fingerprint_, run_.steps, state());
      if (!goes_on) break;
    }
    progress.end();
    run_.trained_values = trainable_.count();
    run_.state_bytes = trainable_.size_bytes();
    for (const Parameter& p : objective_.parameters()) run_.state_bytes += p.size_bytes();
    run_.activation_bytes = backward_->working_bytes() + objective_.working_bytes();
    return std::move(run_);
  }

 private:
  void check_same_run() {
    std::string firsts = fingerprint_;
    group_.broadcast(std::as_writable_bytes(std::span(firsts)), 0);
    if (firsts != fingerprint_)
      throw Error(Blame::input, "processes", "expected the model, data and options of the first process, got others",
                  "all must read the same files and be given the same command line");
  }

  // As the first process finds it.
  bool resumes() {
    std::byte found{options_.resume && std::filesystem::exists(options_.checkpoint)};
    group_.broadcast({&found, 1}, 0);
    return found != std::byte{0};
  }

  RunState state() { return {trainable_.parameters(), objective_.parameters(), *own_}; }

  bool validates(dim done) const {
    if (!options_.validation) return false;
    const dim every = options_.validate_every > 0 ? options_.validate_every : std::max<dim>(1, run_.planned / 10);
    return done % every == 0 || done == run_.planned;
  }

  void make_backward(const Config& config) {
    longest_ = data_.longest();
    const dim most = std::max(longest_, options_.micro_tokens);
    const dim kept = options_.activation_bytes / std::max<dim>(1, BlockBackward::slot_bytes(config, most));
    backward_ = std::make_unique<ModelBackward>(trainable_.network(), longest_, kMostSequences, kept);
  }

  // Those of the data, or what the student makes of their beginnings, or has made before.
  std::vector<const TrainingSequence*> sequences(dim step, bool& own) {
    std::vector<const TrainingSequence*> all;
    for (dim b = 0; b < options_.batch; ++b) all.push_back(&data_.sequences[order_.at(step * options_.batch + b)]);
    if (!own) return all;
    if (own_->makes(step, options_.batch)) {
      texts_ = roll_out(trainable_.network(), all, options_.rollout, longest_,
                        mix64(options_.seed, std::uint64_t(step)), ends_, objective_.teacher());
      own_->keep(texts_);
    } else {
      texts_ = own_->draw(step, options_.batch);
    }
    std::vector<const TrainingSequence*> said;
    for (const TrainingSequence& s : texts_)
      if (s.count() > 0) said.push_back(&s);
    own = !said.empty();
    return own ? said : all;
  }

  TrainStep step(dim index) {
    TrainStep s;
    s.number = index + 1;
    s.rate = schedule_.rate(index);
    s.own = own_->is_own(index);
    std::vector<MicroBatch> all = micro_batches(sequences(index, s.own), options_.micro_tokens);
    dim predicted = 0;
    for (const MicroBatch& b : all) predicted += dim(b.places.size());
    for (MicroBatch& b : all) {
      b.own = s.own;
      s.tokens += b.tokens();
    }
    s.loss = learn_from(all, 1 / double(predicted));
    update(s);
    return s;
  }

  // Gradients of all batches, of which each process takes one in turn: each is formed from zero, and they are added in
  // the order of batches, so that their sums do not depend on who forms them. Returns the loss.
  double learn_from(const std::vector<MicroBatch>& all, double weight) {
    trainable_.clear_gradients();
    objective_gradients_.resize(objective_.parameters().size());
    for (std::size_t i = 0; i < objective_gradients_.size(); ++i) {
      objective_.parameters()[i].clear_gradient();
      objective_gradients_[i].assign(std::size_t(objective_.parameters()[i].size()), 0);
    }
    std::vector<double> losses(all.size(), 0);
    const auto ranks = std::size_t(group_.size());
    for (std::size_t first = 0; first < all.size(); first += ranks) {
      const Together together = {group_, int(std::min(ranks, all.size() - first))};
      const std::size_t mine = first + std::size_t(group_.rank());
      if (mine < all.size()) {
        const MicroBatch& b = all[mine];
        objective_.begin(b, weight);
        losses[mine] = trainable_.add_gradients(*backward_, b.sequences, b.places, objective_, together);
      } else {
        trainable_.add_gradients_of_others(together);
      }
      add_objective_gradients(together);
    }
    for (std::size_t i = 0; i < objective_gradients_.size(); ++i)
      std::copy(objective_gradients_[i].begin(), objective_gradients_[i].end(),
                objective_.parameters()[i].gradient.as<float>());
    return sum_in_order(losses, group_);
  }

  void add_objective_gradients(const Together& together) {
    for (std::size_t i = 0; i < objective_gradients_.size(); ++i) {
      Parameter& p = objective_.parameters()[i];
      together.group.add_in_order(std::span<const float>(p.gradient.as<float>(), std::size_t(p.size())),
                                  objective_gradients_[i], together.parts);
      p.clear_gradient();
    }
  }

  void update(TrainStep& s) {
    double squares = 0;
    const auto each = [&](const auto& of) {
      for (Parameter& p : trainable_.parameters()) of(p);
      for (Parameter& p : objective_.parameters()) of(p);
    };
    each([&](const Parameter& p) { squares += sum_of_squares(p.gradient.as<float>(), p.size()); });
    s.gradient_norm = std::sqrt(squares);
    if (!std::isfinite(s.loss) || !std::isfinite(s.gradient_norm))
      throw Error(Blame::input, fmt::format("step {}", s.number), "expected a finite loss and gradient, got others",
                  "a smaller learning rate may help");
    const double factor = options_.clip > 0 && s.gradient_norm > options_.clip ? options_.clip / s.gradient_norm : 1;
    each([&](Parameter& p) {
      AdamW adamw = options_.adamw;
      if (!p.decays()) adamw.decay = 0;
      // An objective's own matrices keep AdamW's moments.
      const Optimizer rule = p.kind == ParameterKind::filter ? Optimizer::adamw : options_.choice.optimizer;
      take_step(rule, adamw, {s.rate, s.number, factor, options_.keep_zeros && p.kind == ParameterKind::matrix},
                p.values.as<float>(), p.gradient.as<float>(), p.moments);
    });
    trainable_.publish();
  }

  const TrainOptions& options_;
  Trainable& trainable_;
  const TrainingData& data_;
  Objective& objective_;
  Group& group_;
  std::vector<std::vector<float>> objective_gradients_;  // of its own parameters
  ShuffledOrder order_;
  Schedule schedule_;
  std::string fingerprint_;
  dim longest_ = 2;  // tokens
  std::vector<Token> ends_;
  std::optional<OwnTexts> own_;
  std::vector<TrainingSequence> texts_;  // of an own step
  std::unique_ptr<ModelBackward> backward_;
  TrainRun run_;
};

}  // namespace

TrainRun train(const Model& model, Trainable& trainable, const TrainingData& data, Objective& objective,
               const TrainOptions& options, Progress& progress,
               const std::function<bool(const TrainStep&)>& after_step) {
  return Run(model, trainable, data, objective, options).go(progress, after_step);
}

}  // namespace pith
