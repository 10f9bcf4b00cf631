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
#include "train/losses/map_rows.h"
#include "train/losses/relation_rows.h"
#include "train/state_filters.h"
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

TEST(RelationLoss, ByHand) {
  // Two tokens, one part of width 1: token 1 relates to (0, 1) as softmax(x1 x0, x1 x1).
  const float x[] = {1, 2}, teacher[] = {3, 0};
  const std::vector<dim> lengths = {2};
  float gradient[] = {0, 0};
  const double p = 0.5, q = 1 / (1 + std::exp(2.0));  // of token 0: e^2 / (e^2 + e^4)
  const double kl = p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q));
  EXPECT_NEAR(relation_loss({x, teacher, 1, 1, 1, lengths, gradient}, 3), 3 * kl / 2, 1e-6);
  // The product x1 x0 has slope q - p, x1 x1 the opposite.
  EXPECT_NEAR(gradient[0], 1.5 * (q - p) * 2, 1e-6);
  EXPECT_NEAR(gradient[1], 1.5 * ((q - p) * 1 + (p - q) * 2 * 2), 1e-6);
}

TEST(RelationLoss, GradientsAreThoseOfFiniteDifferences) {
  Rng rng(6);
  const std::vector<dim> lengths = {5, 1, 7};
  std::vector<float> x, teacher;
  for (int i = 0; i < 13 * 12; ++i) x.push_back(float(rng.normal()));
  for (int i = 0; i < 13 * 20; ++i) teacher.push_back(float(rng.normal()));
  std::vector<float> gradient(x.size(), 0), ignored(x.size(), 0);
  relation_loss({x.data(), teacher.data(), 12, 20, 4, lengths, gradient.data()}, 100);
  for (std::size_t i = 0; i < x.size(); i += 3) {
    const float before = x[i];
    x[i] = before + 0x1p-7f;
    const double up = relation_loss({x.data(), teacher.data(), 12, 20, 4, lengths, ignored.data()}, 100);
    x[i] = before - 0x1p-7f;
    const double down = relation_loss({x.data(), teacher.data(), 12, 20, 4, lengths, ignored.data()}, 100);
    x[i] = before;
    EXPECT_NEAR(gradient[i], (up - down) / 0x1p-6, 2e-3) << i;  // of 100, in f32
  }
  // A model with itself; the token that is alone has no relations.
  std::vector<float> none(x.size(), 0);
  EXPECT_NEAR(relation_loss({x.data(), x.data(), 12, 12, 4, lengths, none.data()}, 1), 0, 1e-6);
  for (const float g : none) EXPECT_NEAR(g, 0, 1e-6);
}

// Two heads that share keys, a soft cap and a window of two: token 2 sees tokens 1 and 2.
TEST(AttentionMaps, ByHand) {
  const AttentionShape shape = {.heads = 2, .kv_heads = 1, .head_dim = 1, .scale = 0.5f, .softcap = 2, .window = 2};
  const std::vector<dim> lengths = {3};
  const float q[] = {1, 1, 1, 1, 2, -3}, k[] = {9, 1, 4}, zero[6] = {};
  float dq[6] = {}, dk[3] = {};
  const ScoreRows student = {q, k, dq, dk, shape, lengths}, teacher = {zero, zero, nullptr, nullptr, shape, lengths};
  const auto capped = [](double s) { return 2 * std::tanh(s / 2); };
  const auto divergence = [](double gap) {  // of an even teacher, where the student's scores differ by that
    const double first = 1 / (1 + std::exp(gap));
    return -0.5 * std::log(2 * first) - 0.5 * std::log(2 * (1 - first));
  };
  const double gaps[] = {capped(0.5) - capped(4.5), capped(4) - capped(1), capped(-6) - capped(-1.5)};
  double expected = 0;  // both heads have the first gap, at token 1
  for (const int i : {0, 0, 1, 2}) expected += divergence(gaps[i]);
  EXPECT_NEAR(attention_map_loss(student, teacher, 6), expected, 1e-5);  // 6 places
  EXPECT_EQ(dq[0], 0);                                                   // token 0 sees itself alone
  const double slope = 1 / (1 + std::exp(-gaps[1])) - 0.5;               // of token 2's score at itself, capped
  const auto bend = [](double s) { return 1 - std::tanh(s / 2) * std::tanh(s / 2); };
  EXPECT_NEAR(dq[4], 0.5 * slope * (bend(4) * 4 - bend(1) * 1), 1e-5);
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
    return objective({.hidden = {weight, kind, layer_pairs("uniform", 2, of.config().layers)}}, of);
  }
  std::unique_ptr<Objective> objective(const BesideOptions& options, const Model& of) const {
    return distill_objective({.divergence = &divergence_or_throw("forward_kl")}, student, of, 8, 2, options);
  }
  // The loss, with gradients in `trainable`.
  double loss(Trainable& trainable, Objective& objective, dim kept) const {
    MicroBatch batch;
    for (const TrainingSequence& s : data.sequences) batch.add(s);
    ModelBackward backward(trainable.network(), 8, 2, kept);
    trainable.clear_gradients();
    for (Parameter& p : objective.parameters()) p.clear_gradient();
    objective.begin(batch, 1 / double(data.predicted()));
    return trainable.add_gradients(backward, batch.sequences, batch.places, objective);
  }
  // Differences of the loss against the gradients of all that is learned.
  void check_gradients(Objective& of, const std::string& name, std::size_t learned_maps = 0) {
    Trainable trainable(student, {.bf16 = false});
    loss(trainable, of, 1);
    std::vector<Parameter*> all;
    for (Parameter& p : trainable.parameters()) all.push_back(&p);
    for (Parameter& p : of.parameters().first(learned_maps)) all.push_back(&p);
    std::vector<std::vector<float>> gradients;
    for (const Parameter* p : all) gradients.emplace_back(p->gradient.as<float>(), p->gradient.as<float>() + p->size());
    loss(trainable, of, 99);  // all tapes kept: the same bits
    for (std::size_t k = 0; k < gradients.size(); ++k)
      EXPECT_TRUE(std::equal(gradients[k].begin(), gradients[k].end(), all[k]->gradient.as<float>()));
    Rng rng(8);
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      auto* values = all[k]->values.as<float>();
      // The values with the largest gradient of a few: differences of f32 losses say nothing of small ones.
      std::size_t i = 0;
      for (int n = 0; n < 40; ++n) {
        const auto j = std::size_t(rng.below(dim(gradients[k].size())));
        if (std::fabs(gradients[k][j]) > std::fabs(gradients[k][i])) i = j;
      }
      const float before = values[i];
      const auto at = [&](float value) {
        values[i] = value;
        trainable.publish();
        return loss(trainable, of, 1);
      };
      const double up = at(before + 0x1p-7f), high = double(values[i]), down = at(before - 0x1p-7f),
                   low = double(values[i]);
      at(before);
      const auto got = double(gradients[k][i]);
      EXPECT_NEAR(got, (up - down) / (high - low), 2e-4 + 0.02 * std::fabs(got)) << name << " parameter " << k;
    }
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
    EXPECT_GT(loss(trainable, *of, 1), loss(trainable, *objective(kind, 0, teacher), 1) + 0.01);
    check_gradients(*of, name_of(kind));
  }
}

TEST_F(HiddenLossTest, RelationsHaveTheGradientsOfFiniteDifferences) {
  const auto of = objective({.relations = {.weight = 50, .heads = 2, .pairs = layer_pairs("0:1,1:0", 2, 2)}}, teacher);
  EXPECT_EQ(of->describe(), "forward_kl + 50 relations of 0:1,1:0 in 2 parts");
  check_gradients(*of, "relations");
  const auto own = objective({.relations = {.weight = 50, .heads = 4, .pairs = layer_pairs("uniform", 2, 2)}}, student);
  Trainable trainable(student, {.bf16 = false});
  EXPECT_NEAR(loss(trainable, *own, 1), 0, 1e-5);
  EXPECT_THROW(objective({.relations = {.weight = 1, .heads = 5, .pairs = {{0, 0}}}}, teacher), Error);
}

TEST_F(HiddenLossTest, AttentionHasTheGradientsOfFiniteDifferences) {
  const auto of = objective({.attention = {.weight = 50, .pairs = layer_pairs("0:1,1:1", 2, 2)}}, teacher);
  EXPECT_EQ(of->describe(), "forward_kl + 50 attention of 0:1,1:1");
  check_gradients(*of, "attention");
  // Beside relations of the same block, whose rows are kept once.
  const BesideOptions both = {.relations = {.weight = 5, .heads = 2, .pairs = {{0, 1}, {1, 1}}},
                              .attention = {.weight = 20, .pairs = {{1, 1}}}};
  check_gradients(*objective(both, teacher), "both");
  const auto own = objective({.attention = {.weight = 50, .pairs = layer_pairs("uniform", 2, 2)}}, student);
  Trainable trainable(student, {.bf16 = false});
  EXPECT_NEAR(loss(trainable, *own, 1), 0, 1e-5);
}

TEST_F(HiddenLossTest, MapsHaveTheGradientsOfFiniteDifferences) {
  const HiddenLoss hidden = {
      .weight = 2, .pairs = layer_pairs("uniform", 2, 2), .map = StateMap::projection, .seed = 3};
  for (const StateMap map : {StateMap::projection, StateMap::filters}) {
    BesideOptions options = {.hidden = hidden};
    options.hidden.map = map;
    const auto of = objective(options, teacher);
    ASSERT_EQ(of->parameters().size(), map == StateMap::filters ? 4u : 2u);
    // Away from where the maps begin: the same for both models, and the teacher's has no gradient.
    for (Parameter& p : of->parameters())
      for (dim i = 0; i < p.size(); ++i)
        p.values.as<float>()[i] += 0.05f * float(uniform_at(9, std::uint64_t(i))) - 0.025f;
    check_gradients(*of, "map", 2);
    for (std::size_t k = 2; k < of->parameters().size(); ++k)
      for (dim i = 0; i < 64 * 64; ++i) ASSERT_EQ(of->parameters()[k].gradient.as<float>()[i], 0);
  }
}

TEST_F(HiddenLossTest, FiltersLearnTheTextFirst) {
  test::WrittenModel loud = other();  // its head can be sure of a token
  std::string& norm = loud.at("model.norm.weight").bytes;
  for (std::size_t i = 0; i < 64; ++i) {
    const float v = 3;
    norm.replace(i * 4, 4, reinterpret_cast<const char*>(&v), 4);
  }
  teacher = Model::open(loud.write(folder.path / "loud"));
  BesideOptions options = {.hidden = {.weight = 1, .pairs = layer_pairs("uniform", 2, 2), .map = StateMap::filters}};
  options.hidden.filter_rate = 0.1;
  const Network net = Network::of(student), net_of_teacher = Network::of(teacher);
  const auto after = [&](dim steps) {
    options.hidden.filter_steps = steps;
    return StateFilters(options.hidden, 64, 64).train(net, net_of_teacher, data, no_progress());
  };
  // Before the first step each filter passes states on; the teacher's last gives the teacher's own loss. All together:
  const double first = after(1), last = after(200);
  EXPECT_LT(last, 0.5 * first);
  // The run does it once, and a run that goes on does not.
  options.hidden.filter_steps = 5;
  const auto of = objective(options, teacher);
  Trainable trainable(student, {.bf16 = false});
  TrainOptions how = {.rate = 1e-3, .steps = 4, .batch = 2};
  const TrainRun whole = train(student, trainable, data, *of, how);
  EXPECT_NE(of->parameters()[3].values.as<float>()[1], 0);  // off the diagonal: learned
  how.checkpoint = folder.path / "run";
  const auto first_half = objective(options, teacher), second_half = objective(options, teacher);
  Trainable stopped(student, {.bf16 = false}), resumed(student, {.bf16 = false});
  train(student, stopped, data, *first_half, how, no_progress(), [](const TrainStep& s) { return s.number < 2; });
  how.resume = true;
  const TrainRun rest = train(student, resumed, data, *second_half, how);
  EXPECT_EQ(rest.resumed_at, 2);
  EXPECT_EQ(rest.steps.back().loss, whole.steps.back().loss);
}

TEST_F(HiddenLossTest, IsSaidAndChecked) {
  EXPECT_NE(objective(HiddenKind::cosine, 0.5, teacher)->describe().find(" + 0.5 hidden cosine of 0:0"),
            std::string::npos);
  EXPECT_THROW(objective(HiddenKind::cosine, -1, teacher), Error);
  EXPECT_THROW(hidden_kind_or_throw("dot"), Error);
}

}  // namespace
}  // namespace pith
