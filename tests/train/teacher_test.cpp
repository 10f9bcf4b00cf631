// Learning from a teacher that runs beside, or whose likeliest tokens were kept.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/model/reference_llama.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/distill.h"
#include "train/trainer.h"

namespace pith {
namespace {

class TeacherTest : public testing::Test {
 protected:
  test::TempFolder folder;
  Model student = Model::open(test::WrittenModel().write(folder.path / "student"));
  Model teacher = Model::open(other().write(folder.path / "teacher"));
  TrainingData data;
  TrainOptions options = {.rate = 1e-2, .steps = 40, .batch = 3};

  TeacherTest() {
    set_num_threads(1);  // the models are smaller than waking a thread
    for (const std::vector<Token>& tokens : std::vector<std::vector<Token>>{
             {3, 14, 15, 9, 26, 5, 35, 8}, {31, 20, 5, 1, 2, 3}, {2, 7, 18, 28, 18, 28, 4}}) {
      TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
      s.predicted[0] = s.predicted[2] = 0;
      data.sequences.push_back(s);
    }
    data.hash = "three";
  }
  // With larger, other weights: a distribution that says something.
  static test::WrittenModel other() {
    test::WrittenModel m;
    m.at("model.embed_tokens.weight").bytes = test::f32_tensor("another", {40, 64}).bytes;
    std::string& norm = m.at("model.norm.weight").bytes;
    for (std::size_t i = 0; i < 64; ++i) {
      const float v = 3;
      norm.replace(i * 4, 4, reinterpret_cast<const char*>(&v), 4);
    }
    return m;
  }
  TrainRun run(Objective& objective) {
    Trainable trainable(student, {.bf16 = false});
    return train(student, trainable, data, objective, options);
  }
  std::unique_ptr<Objective> beside(const DistillLoss& loss, const Model& of) {
    return distill_objective(loss, student, of, 8, 3);
  }
};

class TeacherLossOf : public TeacherTest, public testing::WithParamInterface<const Divergence*> {};

TEST_P(TeacherLossOf, IsZeroForItselfAndFallsForAnother) {
  const DistillLoss loss = {.divergence = GetParam()};
  options.steps = 1;
  const TrainStep still = run(*beside(loss, student)).steps[0];
  EXPECT_NEAR(still.loss, 0, 1e-6);
  const bool kink = GetParam()->name == std::string("total_variation");
  if (!kink) {
    EXPECT_NEAR(still.gradient_norm, 0, 1e-5);
  }
  options.steps = 40;
  const TrainRun taught = run(*beside(loss, teacher));
  EXPECT_LT(taught.steps.back().loss, 0.7 * taught.steps.front().loss);
}

TEST_P(TeacherLossOf, OfAlmostAllTokensKeptIsThatOfAllTokens) {
  const DistillLoss loss = {.divergence = GetParam(), .cross_entropy = 0.25};
  TeacherCache::write(folder.path / "kept", teacher, data, 39);
  const TeacherCache cache(folder.path / "kept", data, 40, &teacher);
  EXPECT_EQ(cache.bytes_per_token(), 39 * 6 + 4);
  options.steps = 5;
  const TrainRun kept = run(*distill_objective(loss, student, cache, data)), all = run(*beside(loss, teacher));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(kept.steps[i].loss, all.steps[i].loss, 2e-5) << i;  // f32 rows
}

INSTANTIATE_TEST_SUITE_P(All, TeacherLossOf, testing::ValuesIn(divergences()),
                         [](const auto& parameter) { return std::string(parameter.param->name); });

TEST_F(TeacherTest, KeptTokensAreTheLikeliest) {
  TeacherCache::write(folder.path / "kept", teacher, data, 3);
  const TeacherCache cache(folder.path / "kept", data, 40, nullptr);
  Teacher run(teacher, 8, 3);
  MicroBatch batch;
  for (const auto& s : data.sequences) batch.add(s);
  run.read(batch.sequences);
  const float* logits = run.logits(batch.places);
  EXPECT_EQ(cache.first_row(1), 6);
  EXPECT_EQ(cache.first_row(2), 10);
  for (std::size_t r = 0; r < batch.places.size(); ++r) {
    Token tokens[3];
    float log_p[4];
    cache.row(dim(r), tokens, log_p);
    double sum = 0;
    const float* z = logits + r * 40;
    for (int v = 0; v < 40; ++v) sum += std::exp(double(z[v]));
    EXPECT_EQ(z[tokens[0]], *std::max_element(z, z + 40));
    EXPECT_NEAR(double(log_p[0]), double(z[tokens[0]]) - std::log(sum), 2e-6);
    EXPECT_GE(log_p[0], log_p[1]);
    EXPECT_GE(log_p[1], log_p[2]);
    EXPECT_NEAR(std::exp(double(log_p[0])) + std::exp(double(log_p[1])) + std::exp(double(log_p[2])) +
                    std::exp(double(log_p[3])),
                1, 1e-6);
  }
}

TEST_F(TeacherTest, OwnTokensFollowTheDataAndTheSeed) {
  const TrainingSequence text{{3, 14, 15, 9, 26, 5, 35, 8, 1, 2}, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  TrainingSequence chat{{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11, 12}, std::vector<char>(12, 0)};
  chat.predicted[10] = chat.predicted[11] = 1;
  const std::vector<const TrainingSequence*> given = {&text, &chat};
  const Network net = Network::of(teacher);
  const Rollout hot = {.share = 1, .new_tokens = 4, .temperature = 9};  // the teacher is sure of itself
  const auto own = roll_out(net, given, hot, 13, 7, {});
  ASSERT_EQ(own.size(), 2u);
  EXPECT_EQ(own[0].tokens.size(), 9u);   // half, and four
  EXPECT_EQ(own[1].tokens.size(), 13u);  // as long as any may be
  EXPECT_TRUE(std::equal(own[0].tokens.begin(), own[0].tokens.begin() + 5, text.tokens.begin()));
  EXPECT_EQ(own[0].predicted, (std::vector<char>{0, 0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(own[1].count(), 3);
  EXPECT_EQ(roll_out(net, given, hot, 13, 7, {})[0].tokens, own[0].tokens);
  EXPECT_NE(roll_out(net, given, hot, 13, 8, {})[0].tokens, own[0].tokens);
  // An end is the last.
  const auto ended = roll_out(net, given, hot, 13, 7, std::span(&own[0].tokens[6], 1));
  EXPECT_LE(ended[0].tokens.size(), 7u);
  // At temperature 0 what follows is what the reference says.
  const auto likely = roll_out(net, given, {.share = 1, .new_tokens = 1, .temperature = 0}, 13, 7, {});
  const auto logits = test::ReferenceLlama(net).logits(std::span(text.tokens).first(5)).back();
  EXPECT_EQ(likely[0].tokens[5], std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST_F(TeacherTest, LearnsFromItsOwnTokensToo) {
  options.rollout = {.share = 0.5, .new_tokens = 3};
  const DistillLoss loss = {.divergence = &divergence_or_throw("jsd")};
  const TrainRun taught = run(*beside(loss, teacher)), again = run(*beside(loss, teacher));
  const auto own = std::count_if(taught.steps.begin(), taught.steps.end(), [](const TrainStep& s) { return s.own; });
  EXPECT_NEAR(double(own), 20, 9);  // of 40, three deviations
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(taught.steps[i].loss, again.steps[i].loss);
  EXPECT_LT(taught.steps.back().loss, 0.8 * taught.steps.front().loss);
}

TEST_F(TeacherTest, WhatDoesNotFitIsRefused) {
  const auto path = folder.path / "kept";
  TeacherCache::write(path, teacher, data, 3);
  EXPECT_THROW(TeacherCache(path, data, 41, nullptr), Error);
  EXPECT_THROW(TeacherCache(path, data, 40, &student), Error);
  TrainingData more = data;
  more.hash = "four";
  EXPECT_THROW(TeacherCache(path, more, 40, nullptr), Error);
  more = data;
  more.sequences.pop_back();
  EXPECT_THROW(TeacherCache(path, more, 40, nullptr), Error);
  EXPECT_THROW(TeacherCache::write(path, teacher, data, 40), Error);
  EXPECT_THROW(TeacherCache(folder.path / "student" / "model.safetensors", data, 40, nullptr), Error);
  const TeacherCache cache(path, data, 40, nullptr);
  options.rollout.share = 2;
  EXPECT_THROW(run(*beside({.divergence = divergences()[0]}, teacher)), Error);
  EXPECT_THROW(distill_objective({.divergence = divergences()[0], .temperature = 2}, student, cache, data), Error);

  test::WrittenModel wider;
  wider.config["vocab_size"] = 41;
  wider.at("model.embed_tokens.weight") = test::f32_tensor("model.embed_tokens.weight", {41, 64});
  const Model other_vocabulary = Model::open(wider.write(folder.path / "wider"));
  EXPECT_THROW(beside({.divergence = divergences()[0]}, other_vocabulary), Error);
}

TEST_F(TeacherTest, MeanProbabilityIsThatOfTheDataItself) {
  Forward forward(teacher);
  KvCache cache(teacher.config(), 3, 8);
  double sum = 0;
  dim count = 0;
  for (dim k = 0; k < 3; ++k) {
    const TrainingSequence& s = data.sequences[std::size_t(k)];
    for (std::size_t t = 1; t < s.tokens.size(); ++t) {
      const auto z = forward.next(cache, std::span(s.tokens).subspan(t - 1, 1), k);
      double all = 0;
      for (const float v : z) all += std::exp(double(v));
      if (s.predicted[t]) sum += std::exp(double(z[std::size_t(s.tokens[t])])) / all, ++count;
    }
  }
  EXPECT_NEAR(mean_token_probability(teacher, data), sum / double(count), 1e-6);
}

}  // namespace
}  // namespace pith
