// Answers that the student draws: MiniLLM's gradient, and which steps learn from them.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/distill.h"
#include "train/trainer.h"

namespace pith {
namespace {

using Values = std::vector<double>;

Values softmax(const Values& z) {
  Values p;
  double sum = 0;
  for (const double v : z) p.push_back(std::exp(v)), sum += p.back();
  for (double& v : p) v /= sum;
  return p;
}

// Answers of two tokens out of three: logits of the first, and of the second after each first.
struct Tree {
  std::vector<Values> z;  // 4 rows of 3
  // KL of the distributions over the nine answers.
  double divergence(const Tree& teacher) const {
    double sum = 0;
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < 3; ++b) {
        const double q = softmax(z[0])[a] * softmax(z[1 + a])[b],
                     p = softmax(teacher.z[0])[a] * softmax(teacher.z[1 + a])[b];
        sum += q * std::log(q / p);
      }
    return sum;
  }
};

Tree random_tree(std::uint64_t seed) {
  Rng rng(seed);
  Tree tree;
  for (int r = 0; r < 4; ++r) tree.z.push_back({rng.normal(), rng.normal(), rng.normal()});
  return tree;
}

// Its gradient for one answer, in one call or token by token from the last.
std::vector<float> gradient_of(const PolicyLoss& loss, const Tree& student, const Tree& teacher, Token a, Token b,
                               bool apart) {
  std::vector<float> z, p;
  for (const std::size_t row : {std::size_t(0), std::size_t(1 + a)}) {
    z.insert(z.end(), student.z[row].begin(), student.z[row].end());
    p.insert(p.end(), teacher.z[row].begin(), teacher.z[row].end());
  }
  const std::vector<Token> drawn = {a, b};
  const std::vector<dim> left = {1, 0};
  PolicyReturns returns;
  if (!apart) {
    policy_rows(loss, {z.data(), 2, 3, drawn, 1}, {p.data(), 3}, left, returns);
    return z;
  }
  for (const std::size_t t : {1u, 0u})
    policy_rows(loss, {z.data() + 3 * t, 1, 3, std::span(drawn).subspan(t, 1), 1}, {p.data() + 3 * t, 3},
                std::span(left).subspan(t, 1), returns);
  return z;
}

TEST(PolicyRows, AreOnAverageTheGradientOfTheWholeAnswersDivergence) {
  Tree student = random_tree(1);
  const Tree teacher = random_tree(2);
  for (const bool apart : {false, true}) {
    std::vector<Values> mean(4, Values(3, 0));
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < 3; ++b) {
        const double probability = softmax(student.z[0])[a] * softmax(student.z[1 + a])[b];
        const auto g = gradient_of({.most_reward = 100, .even_lengths = false, .centred = false}, student, teacher,
                                   Token(a), Token(b), apart);
        for (std::size_t v = 0; v < 3; ++v) {
          mean[0][v] += probability * double(g[v]);
          mean[1 + a][v] += probability * double(g[3 + v]);
        }
      }
    for (std::size_t r = 0; r < 4; ++r)
      for (std::size_t v = 0; v < 3; ++v) {
        const double before = student.z[r][v];
        student.z[r][v] = before + 1e-5;
        const double up = student.divergence(teacher);
        student.z[r][v] = before - 1e-5;
        const double down = student.divergence(teacher);
        student.z[r][v] = before;
        EXPECT_NEAR(mean[r][v], (up - down) / 2e-5, 1e-6) << r << " " << v;
      }
  }
}

TEST(PolicyRows, WeighTokensThatTheTeacherHelpedToDraw) {
  const Tree student = random_tree(3), teacher = random_tree(4);
  const auto plain = gradient_of({.teacher_mix = 0, .centred = false}, student, teacher, 2, 1, false),
             mixed = gradient_of({.teacher_mix = 0.25, .centred = false}, student, teacher, 2, 1, false);
  const double p = softmax(teacher.z[0])[2], q = softmax(student.z[0])[2], w = q / (0.25 * p + 0.75 * q);
  // The part that is not weighted is that of the token's own divergence: w = 0 would leave it alone.
  const Values all_q = softmax(student.z[0]), all_p = softmax(teacher.z[0]);
  double kl = 0;
  for (std::size_t v = 0; v < 3; ++v) kl += all_q[v] * std::log(all_q[v] / all_p[v]);
  for (std::size_t v = 0; v < 3; ++v) {
    const double own = all_q[v] * (std::log(all_q[v] / all_p[v]) - kl);
    EXPECT_NEAR(double(mixed[v]) - own, w * (double(plain[v]) - own), 1e-6);
  }
  for (std::size_t v = 3; v < 6; ++v) EXPECT_EQ(mixed[v], plain[v]);  // the last has no return
  EXPECT_THROW(check_policy_loss({.teacher_mix = 1}), Error);
}

TEST(OwnTexts, GrowWithTheValidationLoss) {
  const Rollout rollout = {.adaptive = true, .rise = 0.1};
  OwnTexts own(rollout, 1, 100);
  EXPECT_EQ(own.share(), 0);
  for (const double loss : {2.0, 2.05, 2.2, 1.5, 1.7, 1.75}) own.validated(loss);
  EXPECT_DOUBLE_EQ(own.share(), 0.2);  // at 2.2 and 1.7
  for (int i = 0; i < 30; ++i) own.validated(double(i));
  EXPECT_EQ(own.share(), 1);
  EXPECT_TRUE(own.is_own(5));
}

TEST(OwnTexts, AreKeptAndDrawnMoreAndMore) {
  const Rollout rollout = {.share = 1, .replay = 3};
  OwnTexts own(rollout, 1, 1000);
  const auto text = [](Token t) { return TrainingSequence{{t, t}, {0, 1}}; };
  EXPECT_TRUE(own.makes(999, 2));  // none are kept yet
  own.keep(std::vector<TrainingSequence>{text(1), text(2), {{9}, {0}}});
  own.keep(std::vector<TrainingSequence>{text(3), text(4)});
  ASSERT_EQ(own.kept().size(), 3u);  // the first is gone, and what predicts nothing was not kept
  EXPECT_EQ(own.kept()[0].tokens[0], 2);
  int made = 0;
  for (dim step = 0; step < 1000; ++step) made += own.makes(step, 2);
  EXPECT_NEAR(made, 500, 40);  // three deviations of a share that falls from 1 to 0
  EXPECT_TRUE(own.makes(0, 2));
  const auto drawn = own.draw(7, 50);
  EXPECT_EQ(drawn[3].tokens, own.draw(7, 50)[3].tokens);
  for (const TrainingSequence& s : drawn) EXPECT_GE(s.tokens[0], 2);
  const Rollout fresh = {.share = 1};
  OwnTexts always(fresh, 1, 1000);
  always.keep(drawn);
  EXPECT_TRUE(always.makes(999, 1) && always.kept().empty());
}

class PolicyTest : public testing::Test {
 protected:
  test::TempFolder folder;
  Model student = Model::open(test::WrittenModel().write(folder.path / "student"));
  Model teacher = Model::open(other().write(folder.path / "teacher"));
  TrainingData data;
  PolicyTest() {
    set_num_threads(1);
    for (const std::vector<Token>& tokens : std::vector<std::vector<Token>>{{3, 14, 15, 9, 26, 5, 35, 8, 1, 2, 3, 4},
                                                                            {31, 20, 5, 1, 2, 3, 7, 9, 9, 2, 4, 1}}) {
      TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
      std::fill_n(s.predicted.begin(), 8, 0);
      data.sequences.push_back(s);
    }
    data.hash = "two";
  }
  static test::WrittenModel other() {
    test::WrittenModel m;
    m.at("model.embed_tokens.weight").bytes = test::f32_tensor("another", {40, 64}).bytes;
    std::string& norm = m.at("model.norm.weight").bytes;
    for (std::size_t i = 0; i < 64; ++i) {
      const float v = 2;
      norm.replace(i * 4, 4, reinterpret_cast<const char*>(&v), 4);
    }
    return m;
  }
};

TEST_F(PolicyTest, BringsTheStudentNearTheTeacher) {
  const auto loss = policy_objective({.teacher_mix = 0.2}, student, teacher, 12, 2);
  Trainable trainable(student, {.bf16 = false});
  TrainOptions options = {.rate = 1e-2, .steps = 120, .batch = 2};
  options.rollout = {.share = 1, .new_tokens = 4, .teacher_mix = 0.2};
  const TrainRun run = train(student, trainable, data, *loss, options);
  EXPECT_LT(run.steps.back().loss, 0.5 * run.steps.front().loss);  // KL(student, teacher) of tokens
  Trainable again(student, {.bf16 = false});
  EXPECT_EQ(train(student, again, data, *loss, options).steps.back().loss, run.steps.back().loss);
}

TEST_F(PolicyTest, MixedAnswersAreTheTeachersWhereTheShareIsNearOne) {
  const std::vector<const TrainingSequence*> given = {&data.sequences[0]};
  const Network ours = Network::of(student), theirs = Network::of(teacher);
  int like_teacher = 0, like_student = 0;
  const auto greedy = [&](const Network& net) {
    return roll_out(net, given, {.share = 1, .new_tokens = 1, .temperature = 0}, 12, 1, {})[0].tokens.back();
  };
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Rollout mixed = {.share = 1, .new_tokens = 1, .temperature = 0.05, .teacher_mix = 0.95};
    const Token said = roll_out(ours, given, mixed, 12, seed, {}, &theirs)[0].tokens.back();
    like_teacher += said == greedy(theirs);
    like_student += said == greedy(ours);
  }
  EXPECT_GT(like_teacher, 50);
  EXPECT_LT(like_student, 10);
}

TEST_F(PolicyTest, AKilledRunWithKeptTextsGoesOnToTheSameBytes) {
  TrainOptions options = {.rate = 1e-3, .steps = 12, .batch = 2};
  const TrainingData kept = data;
  options.validation = &kept;
  options.validate_every = 1;
  options.rollout = {.share = 0.6, .new_tokens = 3, .adaptive = true, .rise = 0, .replay = 6};
  const auto loss = distill_objective({.divergence = &divergence_or_throw("skew_kl")}, student, teacher, 12, 2);
  Trainable whole(student, {.bf16 = false}), killed(student, {.bf16 = false}), resumed(student, {.bf16 = false});
  const TrainRun expected = train(student, whole, data, *loss, options);
  options.checkpoint = folder.path / "run";
  train(student, killed, data, *loss, options, no_progress(), [](const TrainStep& s) { return s.number < 8; });
  options.resume = true;
  const TrainRun run = train(student, resumed, data, *loss, options);
  EXPECT_EQ(run.resumed_at, 8);
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(run.steps[i].loss, expected.steps[i].loss) << i;
    EXPECT_EQ(run.steps[i].own, expected.steps[i].own) << i;
  }
  options.validation = nullptr;
  EXPECT_THROW(train(student, resumed, data, *loss, options), Error);
}

}  // namespace
}  // namespace pith
