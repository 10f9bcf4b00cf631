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
  const double got = backward.run(batch.sequences, batch.places, *loss, trainable.outer(),
                                  [&](dim layer) { return trainable.wanted(layer); });
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
  const auto path = folder.path / "c.safetensors";
  save_checkpoint(path, "run", {{1, 2.5, 1, 1e-3, 30}}, trainable);
  EXPECT_EQ(load_checkpoint(path, "run", trainable)[0].loss, 2.5);
  EXPECT_THROW(load_checkpoint(path, "other", trainable), Error);
  Trainable norms(model, {.what = TrainWhat::norms});
  save_checkpoint(path, "run", {}, norms);
  EXPECT_THROW(load_checkpoint(path, "run", trainable), Error);
  std::filesystem::resize_file(path, 400);
  EXPECT_THROW(load_checkpoint(path, "run", norms), Error);
}

TEST_F(TrainerTest, ImpossibleOptionsAreRefused) {
  Trainable trainable(model, {});
  for (const TrainOptions& bad : {TrainOptions{.rate = -1}, TrainOptions{.warmup = 2}, TrainOptions{.batch = 0},
                                  TrainOptions{.adamw = {.beta1 = 1}}, TrainOptions{.clip = -1}})
    EXPECT_THROW(train(model, trainable, data, *loss, bad), Error);
}

}  // namespace
}  // namespace pith
