// Whole runs on a tiny model.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/model/reference_llama.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/checkpoint.h"
#include "train/validation.h"

namespace pith {
namespace {

TrainingSequence sequence(const std::vector<Token>& tokens, std::size_t prompt = 1) {
  TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
  std::fill_n(s.predicted.begin(), prompt, 0);
  return s;
}

TrainingData small_data() {
  TrainingData data;
  data.sequences = {sequence({3, 14, 15, 9, 26, 5, 35, 8, 9, 7}), sequence({31, 20, 5}),
                    sequence({2, 7, 18, 28, 18, 28, 4}, 4), sequence({9, 8, 7, 6, 5, 4, 3, 2, 1}),
                    sequence({39, 1, 39, 2})};
  data.hash = "small";
  return data;
}

class TrainerTest : public testing::Test {
 protected:
  test::TempFolder folder;
  Model model = Model::open(test::WrittenModel().write(folder.path / "base"));
  TrainingData data = small_data();
  std::unique_ptr<Objective> loss = cross_entropy_objective(40);

  TrainerTest() { set_num_threads(1); }  // the model is smaller than waking a thread

  // All learned values after a run.
  std::vector<float> values(Trainable& trainable) {
    std::vector<float> all;
    for (const Parameter& p : trainable.parameters())
      all.insert(all.end(), p.values.as<float>(), p.values.as<float>() + p.size());
    return all;
  }
};

double reference_loss(const Network& net, const TrainingData& data) {
  double sum = 0;
  dim count = 0;
  for (const TrainingSequence& s : data.sequences) {
    const auto logits = test::ReferenceLlama(net).logits(s.tokens);
    for (std::size_t t = 1; t < s.tokens.size(); ++t) {
      if (!s.predicted[t]) continue;
      double total = 0;
      for (const double z : logits[t - 1]) total += std::exp(z);
      sum += std::log(total) - logits[t - 1][std::size_t(s.tokens[t])];
      ++count;
    }
  }
  return sum / double(count);
}

// Each tensor's gradient along itself, and the whole along a random direction: the difference of the double-precision
// reference's losses over a small step, against the inner product with exactly that step.
TEST_F(TrainerTest, GradientsOfTheWholeModelEqualCentralDifferences) {
  Trainable trainable(model, {.what = TrainWhat::full, .bf16 = false});
  MicroBatch batch;
  for (const TrainingSequence& s : data.sequences) batch.add(s);
  ModelBackward backward(trainable.network(), 10, 5, 2);
  loss->begin(batch, 1 / double(batch.places.size()));
  const double got = trainable.add_gradients(backward, batch.sequences, batch.places, *loss);
  EXPECT_NEAR(got, reference_loss(trainable.network(), data), 2e-7 * got);

  Rng rng(5);
  const auto check = [&](std::vector<Parameter*> moved, bool random) {
    double norm = 0;
    for (Parameter* p : moved)
      for (dim i = 0; i < p->size(); ++i) norm += std::pow(double(p->gradient.as<float>()[i]), 2);
    norm = std::sqrt(norm);
    double expected = 0, losses[2];
    std::vector<std::vector<float>> before, low;
    for (Parameter* p : moved) before.emplace_back(p->values.as<float>(), p->values.as<float>() + p->size());
    low = before;
    std::vector<std::vector<double>> direction;
    for (Parameter* p : moved) {
      auto& d = direction.emplace_back();
      for (dim i = 0; i < p->size(); ++i) {
        const double along = double(p->gradient.as<float>()[i]) / norm;
        d.push_back(random ? along + rng.normal() * 0.004 : along);
      }
    }
    constexpr double kStep = 1e-3;  // third-order terms: some 1e-7 of the difference
    for (const int side : {0, 1}) {
      for (std::size_t m = 0; m < moved.size(); ++m)
        for (dim i = 0; i < moved[m]->size(); ++i) {
          const auto at = std::size_t(i);
          float& v = moved[m]->values.as<float>()[i];
          v = float(double(before[m][at]) + (side ? kStep : -kStep) * direction[m][at]);
          if (side)
            expected += double(moved[m]->gradient.as<float>()[i]) * (double(v) - double(low[m][at]));
          else
            low[m][at] = v;
        }
      losses[side] = reference_loss(trainable.network(), data);
    }
    for (std::size_t m = 0; m < moved.size(); ++m)
      std::copy(before[m].begin(), before[m].end(), moved[m]->values.as<float>());
    // Gradients are sums of f32 products through two blocks: 2e-6 of them is sixteen roundings.
    EXPECT_NEAR((losses[1] - losses[0]) / expected, 1, 2e-6) << model.tensors()[moved[0]->tensor].name;
  };
  std::vector<Parameter*> all;
  for (Parameter& p : trainable.parameters()) {
    check({&p}, false);
    all.push_back(&p);
  }
  EXPECT_EQ(all.size(), 20u);
  for (int k = 0; k < 3; ++k) check(all, true);
}

TEST_F(TrainerTest, TheSameForAnyNumberOfThreadsAndKeptTapes) {
  std::vector<float> first;
  for (const int threads : {1, 3}) {
    for (const dim kept_bytes : {dim(0), dim(1) << 30}) {
      set_num_threads(threads);
      Trainable trainable(model, {});
      TrainOptions options = {.rate = 1e-3, .steps = 3, .batch = 4, .micro_tokens = 16};
      options.activation_bytes = kept_bytes;
      train(model, trainable, data, *loss, options);
      const std::vector<float> now = values(trainable);
      if (first.empty()) first = now;
      EXPECT_EQ(std::memcmp(first.data(), now.data(), first.size() * sizeof(float)), 0) << threads;
    }
  }
}

TEST_F(TrainerTest, LearnsByHeart) {
  for (const TrainWhat what : {TrainWhat::full, TrainWhat::lora}) {
    Trainable trainable(model, {.what = what, .rank = 8, .alpha = 16});
    const TrainOptions options = {.schedule = ScheduleKind::linear, .rate = 1e-2, .steps = 60, .batch = 5};
    const TrainRun run = train(model, trainable, data, *loss, options);
    EXPECT_EQ(run.steps.size(), 60u);
    EXPECT_NEAR(run.steps.front().loss, std::log(40.0), 0.05);              // random weights: every token is as likely
    EXPECT_LT(run.steps.back().loss, what == TrainWhat::full ? 0.2 : 3.5);  // the tied head stays random
  }
}

TEST_F(TrainerTest, AdaptersStartFromTheBaseAndLeaveItAlone) {
  Trainable lora(model, {.what = TrainWhat::lora, .rank = 4, .roles = {Role::attn_q, Role::ffn_down}});
  EXPECT_EQ(lora.parameters().size(), 8u);  // two matrices, two factors, two layers
  EXPECT_EQ(lora.count(), 2 * (4 * 64 + 64 * 4 + 4 * 96 + 64 * 4));
  Trainable full(model, {.bf16 = false});
  const TrainOptions still = {.rate = 0, .steps = 1, .batch = 5};
  const double base = train(model, full, data, *loss, still).steps[0].loss;
  EXPECT_EQ(train(model, lora, data, *loss, still).steps[0].loss, base);
  EXPECT_THROW(Trainable(model, {.what = TrainWhat::lora, .rank = 65}), Error);
  EXPECT_THROW(Trainable(model, {.what = TrainWhat::lora, .roles = {Role::router}}), Error);
}

TEST_F(TrainerTest, DoraStartsFromTheBaseAndLearnsLengths) {
  const TrainChoice choice = {
      .what = TrainWhat::lora, .rank = 4, .dora = true, .roles = {Role::attn_v, Role::ffn_down}, .bf16 = false};
  Trainable dora(model, choice);
  EXPECT_EQ(dora.count(), 2 * (4 * 64 + 32 * 4 + 32 + 4 * 96 + 64 * 4 + 64));
  Trainable full(model, {.bf16 = false});
  const TrainOptions still = {.rate = 0, .steps = 1, .batch = 5};
  const double base = train(model, full, data, *loss, still).steps[0].loss;
  EXPECT_NEAR(train(model, dora, data, *loss, still).steps[0].loss, base, 1e-6);
  // The length of a row of the base, and where its factor's derivative is taken.
  const Parameter& m = dora.parameters()[2];
  ASSERT_EQ(m.kind, ParameterKind::magnitude);
  const ModelTensor& t = model.tensors()[m.tensor];
  std::vector<float> row(64);
  decode_row(t, 3, row.data());
  double squares = 0;
  for (const float v : row) squares += double(v) * double(v);
  EXPECT_NEAR(m.values.as<float>()[3], std::sqrt(squares), 1e-6);

  // Lengths alone, by central differences; a step first, so that rows are no longer those of the base.
  train(model, dora, data, *loss, {.rate = 1e-2, .steps = 2, .batch = 5});
  MicroBatch batch;
  for (const TrainingSequence& s : data.sequences) batch.add(s);
  ModelBackward backward(dora.network(), 10, 5, 2);
  const auto value = [&] {
    dora.publish();
    dora.clear_gradients();
    loss->begin(batch, 1);  // the sum: larger differences
    return dora.add_gradients(backward, batch.sequences, batch.places, *loss);
  };
  value();
  for (Parameter& p : dora.parameters()) {
    if (p.kind != ParameterKind::magnitude) continue;
    dim at = 0;
    const std::vector<float> slopes(p.gradient.as<float>(), p.gradient.as<float>() + p.size());
    for (dim i = 0; i < p.size(); ++i)
      if (std::fabs(slopes[std::size_t(i)]) > std::fabs(slopes[std::size_t(at)])) at = i;
    float& v = p.values.as<float>()[at];
    const float before = v;
    v = before + 0x1p-5f;
    const double up = value();
    v = before - 0x1p-5f;
    const double down = value();
    v = before;
    const double slope = double(slopes[std::size_t(at)]);
    EXPECT_NEAR((up - down) / 0x1p-4, slope, 0.01 * std::fabs(slope) + 1e-4);
  }
  EXPECT_LT(train(model, dora, data, *loss, {.rate = 1e-2, .steps = 40, .batch = 5}).steps.back().loss, base - 0.02);
}

TEST_F(TrainerTest, NormsOnly) {
  Trainable norms(model, {.what = TrainWhat::norms});
  EXPECT_EQ(norms.count(), 5 * 64);
  const TrainRun run = train(model, norms, data, *loss, {.rate = 1e-2, .steps = 20, .batch = 5});
  EXPECT_LT(run.steps.back().loss, run.steps.front().loss);
}

TEST_F(TrainerTest, AKilledRunGoesOnToTheSameBytes) {
  for (const TrainWhat what : {TrainWhat::full, TrainWhat::lora}) {
    const TrainChoice choice = {.what = what, .rank = 4};
    TrainOptions options = {.choice = choice, .rate = 1e-3, .steps = 7, .batch = 3, .seed = 11};
    Trainable whole(model, choice);
    const TrainRun expected = train(model, whole, data, *loss, options);

    options.checkpoint = folder.path / "run.safetensors";
    options.checkpoint_every = 2;
    Trainable killed(model, choice);
    struct Kill {};
    EXPECT_THROW(train(model, killed, data, *loss, options, no_progress(),
                       [](const TrainStep& s) { return s.number < 6 ? true : throw Kill(); }),
                 Kill);
    options.resume = true;
    Trainable resumed(model, choice);
    const TrainRun run = train(model, resumed, data, *loss, options);
    EXPECT_EQ(run.resumed_at, 4);
    ASSERT_EQ(run.steps.size(), 7u);
    for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(run.steps[i].loss, expected.steps[i].loss) << i;
    EXPECT_EQ(values(resumed), values(whole));

    options.rate = 2e-3;  // another run
    EXPECT_THROW(train(model, resumed, data, *loss, options), Error);
  }
}

TEST_F(TrainerTest, ADamagedCheckpointIsRefused) {
  Trainable trainable(model, {});
  const Rollout rollout;
  OwnTexts own(rollout, 0, 1);
  const RunState state = {trainable.parameters(), {}, own};
  const auto path = folder.path / "c.safetensors";
  save_checkpoint(path, "run", {{1, 2.5, 1, 1e-3, 30}}, state);
  EXPECT_EQ(load_checkpoint(path, "run", state, 40)[0].loss, 2.5);
  EXPECT_THROW(load_checkpoint(path, "other", state, 40), Error);
  Trainable norms(model, {.what = TrainWhat::norms});
  const RunState of_norms = {norms.parameters(), {}, own};
  save_checkpoint(path, "run", {}, of_norms);
  EXPECT_THROW(load_checkpoint(path, "run", state, 40), Error);
  std::filesystem::resize_file(path, 400);
  EXPECT_THROW(load_checkpoint(path, "run", of_norms, 40), Error);
}

TEST_F(TrainerTest, KeptTextsAndValidationsAreInTheCheckpoint) {
  Trainable norms(model, {.what = TrainWhat::norms});
  const Rollout rollout = {.replay = 5};
  OwnTexts own(rollout, 0, 1), read(rollout, 0, 1);
  const std::vector<TrainingSequence> texts = {sequence({1, 2, 3}), sequence({4, 5, 6, 7, 39}, 3)};
  own.keep(texts);
  const auto path = folder.path / "c.safetensors";
  TrainStep step = {1, 2.5, 1, 1e-3, 30};
  step.validation = 1.25;
  save_checkpoint(path, "run", {step, {2, 2, 1, 1e-3, 30}}, {norms.parameters(), {}, own});
  const auto steps = load_checkpoint(path, "run", {norms.parameters(), {}, read}, 40);
  EXPECT_EQ(steps[0].validation, 1.25);
  EXPECT_FALSE(steps[1].validation);
  ASSERT_EQ(read.kept().size(), 2u);
  EXPECT_EQ(read.kept()[1].tokens, texts[1].tokens);
  EXPECT_EQ(read.kept()[1].predicted, texts[1].predicted);
  EXPECT_THROW(load_checkpoint(path, "run", {norms.parameters(), {}, read}, 39), Error);  // a token of another model
}

TEST_F(TrainerTest, EightBitMomentsLearnAndGoOn) {
  TrainChoice choice = {.bf16 = false};
  TrainOptions options = {.choice = choice, .rate = 1e-2, .steps = 30, .batch = 5};
  Trainable exact(model, choice);
  const double expected = train(model, exact, data, *loss, options).steps.back().loss;
  options.choice.optimizer = choice.optimizer = Optimizer::adamw_8bit;
  Trainable small(model, choice);
  const TrainRun run = train(model, small, data, *loss, options);
  EXPECT_LT(run.steps.front().loss / 20, expected);  // both have learned: from 3.7
  EXPECT_NEAR(run.steps.back().loss, expected, 0.1);
  // A matrix of 64 x 64: values and gradients of 4 bytes, moments of 1 with two scales of 4 for 256.
  const auto& all = small.parameters();
  const auto square = std::find_if(all.begin(), all.end(), [](const Parameter& p) { return p.size() == 4096; });
  EXPECT_EQ(square->size_bytes(), 4096 * (4 + 4 + 1 + 1) + 2 * 16 * 4);

  options.checkpoint = folder.path / "run.safetensors";
  options.steps = 6;
  Trainable whole(model, choice), stopped(model, choice), resumed(model, choice);
  train(model, whole, data, *loss, options);
  train(model, stopped, data, *loss, options, no_progress(), [](const TrainStep& s) { return s.number < 4; });
  options.resume = true;
  EXPECT_EQ(train(model, resumed, data, *loss, options).resumed_at, 4);
  EXPECT_EQ(values(resumed), values(whole));
}

TEST_F(TrainerTest, MomentumLearnsAndGoesOn) {
  for (const auto& [optimizer, rate] : {std::pair(Optimizer::sgd, 1.0), {Optimizer::sign_sgd, 2e-2}}) {
    const TrainChoice choice = {.bf16 = false, .optimizer = optimizer};
    TrainOptions options = {.choice = choice, .rate = rate, .steps = 30, .batch = 5};
    options.checkpoint = folder.path / fmt::format("{}.safetensors", optimizer_name(optimizer));
    Trainable whole(model, choice), stopped(model, choice), resumed(model, choice);
    const TrainRun run = train(model, whole, data, *loss, options);
    EXPECT_LT(run.steps.back().loss, run.steps.front().loss / 2) << optimizer_name(optimizer);
    train(model, stopped, data, *loss, options, no_progress(), [](const TrainStep& s) { return s.number < 17; });
    options.resume = true;
    EXPECT_EQ(train(model, resumed, data, *loss, options).resumed_at, 17);
    EXPECT_EQ(values(resumed), values(whole));
  }
}

TEST_F(TrainerTest, ValidationIsThatOfTheDataKeptBack) {
  const double all = reference_loss(Network::of(model), data);
  EXPECT_NEAR(validation_loss(Network::of(model), data, *loss, 16), all, 1e-5);
  const TrainingData kept = split_validation(data, 0.4);
  EXPECT_EQ(data.sequences.size(), 3u);
  ASSERT_EQ(kept.sequences.size(), 2u);
  EXPECT_EQ(kept.sequences[1].tokens, (std::vector<Token>{39, 1, 39, 2}));
  Trainable trainable(model, {});
  TrainOptions options = {.rate = 1e-3, .steps = 4, .batch = 3};
  options.validation = &kept;
  options.validate_every = 3;
  const TrainRun run = train(model, trainable, data, *loss, options);
  EXPECT_FALSE(run.steps[0].validation || run.steps[1].validation);
  EXPECT_TRUE(run.steps[2].validation && run.steps[3].validation);
  EXPECT_NEAR(*run.steps[3].validation, reference_loss(trainable.network(), kept), 0.01);  // bf16 products
  EXPECT_THROW(split_validation(data, 1), Error);
  std::swap(data.sequences[0], data.sequences[2]);  // the longest is the last
  data.sequences.resize(3);
  EXPECT_EQ(split_validation(data, 0.3).sequences[0].tokens, (std::vector<Token>{3, 14, 15, 9, 26, 5, 35}));
}

TEST_F(TrainerTest, ImpossibleOptionsAreRefused) {
  Trainable trainable(model, {});
  for (const TrainOptions& bad : {TrainOptions{.rate = -1}, TrainOptions{.warmup = 2}, TrainOptions{.batch = 0},
                                  TrainOptions{.adamw = {.beta1 = 1}}, TrainOptions{.clip = -1}})
    EXPECT_THROW(train(model, trainable, data, *loss, bad), Error);
}

}  // namespace
}  // namespace pith
