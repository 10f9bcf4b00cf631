// States inside the model against a teacher's.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/model/reference_llama.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/distill.h"
#include "train/layer_map.h"
#include "train/trainer.h"

namespace pith {
namespace {

TEST(HiddenRow, ByHand) {
  // x along (3, 4), t along (1, 0): cos = 0.6, so 0.8; the gradient is -2/5 ((1, 0) - 0.6 (0.6, 0.8)).
  const float x[] = {3, 4}, t[] = {2, 0};
  float gradient[] = {10, 10};  // added to
  EXPECT_NEAR(hidden_row(HiddenKind::cosine, x, t, 2, 0.5, gradient), 0.8, 1e-7);
  EXPECT_NEAR(gradient[0], 10 - 0.5 * 0.4 * 0.64, 1e-6);
  EXPECT_NEAR(gradient[1], 10 + 0.5 * 0.4 * 0.48, 1e-6);
  float of_mse[] = {0, 0};
  EXPECT_NEAR(hidden_row(HiddenKind::mse, x, t, 2, 1, of_mse), 8.5, 1e-7);  // (1 + 16) / 2
  EXPECT_FLOAT_EQ(of_mse[0], 1);
  EXPECT_FLOAT_EQ(of_mse[1], 4);
}

TEST(HiddenRow, GradientsAreThoseOfFiniteDifferences) {
  std::vector<float> x, t;
  Rng rng(4);
  for (int i = 0; i < 12; ++i) x.push_back(float(rng.normal())), t.push_back(float(rng.normal()));
  for (const HiddenKind kind : {HiddenKind::cosine, HiddenKind::mse}) {
    std::vector<float> gradient(12, 0), ignored(12, 0);
    hidden_row(kind, x.data(), t.data(), 12, 1, gradient.data());
    for (std::size_t i = 0; i < 12; ++i) {
      const float before = x[i];
      x[i] = before + 0x1p-8f;
      const double up = hidden_row(kind, x.data(), t.data(), 12, 1, ignored.data());
      x[i] = before - 0x1p-8f;
      const double down = hidden_row(kind, x.data(), t.data(), 12, 1, ignored.data());
      x[i] = before;
      EXPECT_NEAR(gradient[i], (up - down) / 0x1p-7, 1e-4) << name_of(kind) << i;
    }
  }
}

TEST(LayerMap, UniformEndsAtTheLast) {
  const auto text = [](const std::vector<LayerPair>& pairs) {
    return describe_hidden({.weight = 1, .kind = HiddenKind::mse, .pairs = pairs});
  };
  EXPECT_EQ(text(layer_pairs("uniform", 3, 6)), " + 1 hidden mse of 0:1,1:3,2:5");
  EXPECT_EQ(text(layer_pairs("uniform", 4, 4)), " + 1 hidden mse of 0:0,1:1,2:2,3:3");
  EXPECT_EQ(text(layer_pairs("uniform", 4, 2)), " + 1 hidden mse of 1:0,2:0,3:1");
  EXPECT_EQ(text(layer_pairs("2:5,0:0", 3, 6)), " + 1 hidden mse of 2:5,0:0");
  for (const char* bad : {"", "1", "1:", ":1", "3:0", "0:6", "0:1,0:2", "0:1,", "-1:0", "0:1:2"})
    EXPECT_THROW(layer_pairs(bad, 3, 6), Error) << bad;
}

class HiddenLossTest : public testing::Test {
 protected:
  test::TempFolder folder;
  Model student = Model::open(test::WrittenModel().write(folder.path / "student"));
  Model teacher = Model::open(other().write(folder.path / "teacher"));
  TrainingData data;
  HiddenLossTest() {
    set_num_threads(1);
    for (const std::vector<Token>& tokens :
         std::vector<std::vector<Token>>{{3, 14, 15, 9, 26, 5, 35, 8}, {31, 20, 5, 1, 2, 3}}) {
      TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
      s.predicted[0] = s.predicted[2] = 0;
      data.sequences.push_back(s);
    }
    data.hash = "two";
  }
  static test::WrittenModel other() {
    test::WrittenModel m;
    m.at("model.embed_tokens.weight").bytes = test::f32_tensor("another", {40, 64}).bytes;
    return m;
  }
  std::unique_ptr<Objective> objective(HiddenKind kind, double weight, const Model& of) const {
    const HiddenLoss hidden = {weight, kind, layer_pairs("uniform", student.config().layers, of.config().layers)};
    return distill_objective({.divergence = &divergence_or_throw("forward_kl")}, student, of, 8, 2, {.hidden = hidden});
  }
  // The loss, with gradients in `trainable`.
  double loss(Trainable& trainable, Objective& objective, dim kept) const {
    MicroBatch batch;
    for (const TrainingSequence& s : data.sequences) batch.add(s);
    ModelBackward backward(trainable.network(), 8, 2, kept);
    trainable.clear_gradients();
    objective.begin(batch, 1 / double(data.predicted()));
    return backward.run(batch.sequences, batch.places, objective, trainable.outer(),
                        [&](dim layer) { return trainable.wanted(layer); });
  }
};

TEST_F(HiddenLossTest, OfAModelWithItselfIsZero) {
  for (const HiddenKind kind : {HiddenKind::cosine, HiddenKind::mse}) {
    Trainable trainable(student, {.bf16 = false});
    const auto own = objective(kind, 3, student);
    EXPECT_NEAR(loss(trainable, *own, 1), 0, 1e-5);
    for (const Parameter& p : trainable.parameters())
      for (dim i = 0; i < p.size(); ++i) EXPECT_NEAR(p.gradient.as<float>()[i], 0, 1e-4);
  }
}

TEST_F(HiddenLossTest, GradientsAreThoseOfFiniteDifferences) {
  for (const HiddenKind kind : {HiddenKind::cosine, HiddenKind::mse}) {
    Trainable trainable(student, {.bf16 = false});
    const auto of = objective(kind, 2, teacher);
    const double with = loss(trainable, *of, 1);
    EXPECT_GT(with, loss(trainable, *objective(kind, 0, teacher), 1) + 0.01);
    loss(trainable, *of, 1);
    std::vector<std::vector<float>> gradients;
    for (const Parameter& p : trainable.parameters())
      gradients.emplace_back(p.gradient.as<float>(), p.gradient.as<float>() + p.size());
    loss(trainable, *of, 99);  // all tapes kept: the same bits
    for (std::size_t k = 0; k < gradients.size(); ++k)
      EXPECT_TRUE(std::equal(gradients[k].begin(), gradients[k].end(), trainable.parameters()[k].gradient.as<float>()));
    Rng rng(8);
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      float* values = trainable.parameters()[k].values.as<float>();
      // The values with the largest gradient of a few: differences of f32 losses say nothing of small ones.
      std::size_t i = 0;
      for (int n = 0; n < 40; ++n) {
        const auto j = std::size_t(rng.below(dim(gradients[k].size())));
        if (std::fabs(gradients[k][j]) > std::fabs(gradients[k][i])) i = j;
      }
      const float before = values[i];
      values[i] = before + 0x1p-7f;
      trainable.publish();
      const double up = loss(trainable, *of, 1), high = double(values[i]);
      values[i] = before - 0x1p-7f;
      trainable.publish();
      const double down = loss(trainable, *of, 1), low = double(values[i]);
      values[i] = before;
      trainable.publish();
      const auto got = double(gradients[k][i]);
      EXPECT_NEAR(got, (up - down) / (high - low), 2e-4 + 0.02 * std::fabs(got)) << name_of(kind) << " parameter " << k;
    }
  }
}

TEST_F(HiddenLossTest, IsSaidAndChecked) {
  EXPECT_NE(objective(HiddenKind::cosine, 0.5, teacher)->describe().find(" + 0.5 hidden cosine of 0:0"),
            std::string::npos);
  EXPECT_THROW(objective(HiddenKind::cosine, -1, teacher), Error);
  EXPECT_THROW(hidden_kind_or_throw("dot"), Error);
}

}  // namespace
}  // namespace pith
