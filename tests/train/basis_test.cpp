// Bases that are learned.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "core/rng.h"
#include "math/rotation.h"
#include "tests/model/same_logits.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/basis_training.h"
#include "train/objective.h"
#include "train/trainable.h"

namespace pith::test {
namespace {

std::vector<std::vector<Token>> some_tokens(dim vocab, dim count, dim length) {
  Rng rng(5);
  std::vector<std::vector<Token>> all(static_cast<std::size_t>(count));
  for (auto& s : all)
    for (dim i = 0; i < length; ++i) s.push_back(Token(rng.below(vocab)));
  return all;
}

// With biases of queries, keys and values where the family has them.
WrittenModel model_of(const std::string& family) {
  WrittenModel m;
  m.config["model_type"] = family;
  if (family == "qwen2")
    for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
      m.tensors.push_back(f32_tensor(layer + "self_attn.q_proj.bias", {64}));
      m.tensors.push_back(f32_tensor(layer + "self_attn.k_proj.bias", {32}));
      m.tensors.push_back(f32_tensor(layer + "self_attn.v_proj.bias", {32}));
    }
  return m;
}

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
  return most;
}

std::vector<double> drawn(dim n, std::uint64_t seed) {
  const Rotation rotation(n, seed);
  std::vector<double> q(std::size_t(n * n), 0.0);
  for (dim i = 0; i < n; ++i) {
    q[std::size_t(i * n + i)] = 1;
    rotation.apply(q.data() + i * n);
  }
  return q;
}

// As long as nothing is rounded every basis has one loss, so that all parts of the gradient cancel and the basis stays.
TEST(BasisTraining, NothingIsToBeLearnedWhereNothingIsRounded) {
  for (const char* family : {"llama", "qwen2"})
    for (const bool down : {false, true}) {
      const TempFolder temp;
      const Model model = Model::open(model_of(family).write(temp.path / "in"));
      const auto tokens = some_tokens(model.config().vocab, 3, 9);
      const LearnedBasis learned = learn_basis(
          model, tokens, {.start = {.seed = 2, .down = down}, .steps = 3, .batch = 2, .rate = 300, .bf16 = false});
      EXPECT_LT(apart(*learned.rotation.basis, drawn(model.config().hidden, 2)), 5e-6) << family << down;
      const dim d = model.config().head_dim;
      std::vector<double> hadamard(std::size_t(d * d), 0.0);
      for (dim i = 0; i < d; ++i) {
        hadamard[std::size_t(i * d + i)] = 1;
        hadamard_blocks(hadamard.data() + i * d, d);
      }
      ASSERT_EQ(dim(learned.rotation.head_bases.size()), model.config().layers);
      for (const auto& head : learned.rotation.head_bases) EXPECT_LT(apart(head, hadamard), 2e-5) << family << down;
    }
}

// Gradients go back through the inputs of down-projections that are turned while the model runs: of the other matrices
// they are what they were.
TEST(BasisTraining, GradientsPassTurnedInputs) {
  const TempFolder temp;
  WrittenModel written;
  const std::vector<float> ones(64, 1.0f);
  for (WrittenTensor& t : written.tensors)
    if (t.name.find("norm") != t.name.npos) std::memcpy(t.bytes.data(), ones.data(), t.bytes.size());
  const Model plain = Model::open(written.write(temp.path / "in"));
  auto identity = std::make_shared<std::vector<double>>(64 * 64, 0.0);
  for (std::size_t i = 0; i < 64; ++i) (*identity)[i * 65] = 1;
  const Model turned = rotated_model(plain, {.basis = identity, .heads = false, .down = true});
  std::map<std::pair<Role, dim>, std::vector<float>> gradients[2];
  const auto tokens = some_tokens(40, 2, 7);
  std::vector<TrainingSequence> sequences;
  for (const auto& s : tokens) sequences.push_back({s, {0, 1, 1, 1, 1, 1, 1}});
  MicroBatch batch;
  for (const TrainingSequence& s : sequences) batch.add(s);
  const auto loss = cross_entropy_objective(40);
  loss->begin(batch, 1 / double(batch.places.size()));
  for (const Model* model : {&plain, &turned}) {
    Trainable trainable(*model, {.bf16 = false});
    ModelBackward backward(trainable.network(), 8, 2);
    trainable.add_gradients(backward, batch.sequences, batch.places, *loss);
    for (const Parameter& p : trainable.parameters()) {
      const ModelTensor& t = model->tensors()[p.tensor];
      gradients[model == &turned][{t.role, t.layer}].assign(p.gradient.as<float>(), p.gradient.as<float>() + p.size());
    }
  }
  for (const Role role : {Role::attn_q, Role::attn_o, Role::ffn_gate, Role::ffn_up})
    for (dim layer = 0; layer < 2; ++layer) {
      const auto &a = gradients[0].at({role, layer}), &b = gradients[1].at({role, layer});
      float largest = 0;
      for (const float v : a) largest = std::max(largest, std::fabs(v));
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4f * largest) << role_name(role) << layer;
    }
}

// The loss is smooth in the last matrix of a block whose inputs are rounded: its gradient is that of what it was
// multiplied with.
TEST(BasisTraining, GradientsAreOfTheRoundedInputs) {
  const TempFolder temp;
  const Model model = Model::open(WrittenModel().write(temp.path / "in"));
  Trainable trainable(model, {.bf16 = false, .activations = ActSpec("int4:bits=3")});
  const auto tokens = some_tokens(40, 2, 7);
  const TrainingSequence sequences[] = {{tokens[0], {0, 1, 1, 1, 1, 1, 1}}, {tokens[1], {0, 1, 1, 1, 1, 1, 1}}};
  MicroBatch batch;
  for (const TrainingSequence& s : sequences) batch.add(s);
  const auto loss = cross_entropy_objective(40);
  ModelBackward backward(trainable.network(), 8, 2);
  const auto value = [&] {
    trainable.publish();
    trainable.clear_gradients();
    loss->begin(batch, 1 / double(batch.places.size()));
    return trainable.add_gradients(backward, batch.sequences, batch.places, *loss);
  };
  value();
  for (Parameter& p : trainable.parameters()) {
    const ModelTensor& t = model.tensors()[p.tensor];
    if (t.role != Role::ffn_down || t.layer != 1) continue;
    const std::vector<float> gradient(p.gradient.as<float>(), p.gradient.as<float>() + p.size());
    const auto largest = std::size_t(std::max_element(gradient.begin(), gradient.end()) - gradient.begin());
    for (const std::size_t i : {largest, std::size_t(5), std::size_t(700)}) {
      float& v = p.values.as<float>()[i];
      const float before = v;
      v = before + 0x1p-6f;
      const double up = value(), high = double(v);
      v = before - 0x1p-6f;
      const double down = value(), low = double(v);
      v = before;
      EXPECT_NEAR(gradient[i], (up - down) / (high - low), 0.02 * std::fabs(gradient[largest])) << i;
    }
  }
}

// With rounded inputs they move, and the model still computes the same.
TEST(BasisTraining, TheModelStays) {
  for (const char* family : {"llama", "qwen2"}) {
    const TempFolder temp;
    const Model model = Model::open(model_of(family).write(temp.path / "in"));
    const auto tokens = some_tokens(model.config().vocab, 3, 9);
    const LearnedBasis learned =
        learn_basis(model, tokens, {.inputs = ActSpec("int4"), .steps = 5, .batch = 2, .rate = 5, .bf16 = false});
    EXPECT_EQ(learned.losses.size(), 5u);
    EXPECT_GT(apart(*learned.rotation.basis, drawn(model.config().hidden, 0)), 1e-4);
    expect_same(logits_of(model), logits_of(rotated_model(model, learned.rotation)), family, 1e-4);
  }
}

// An eighth is held back and measured before the first step and eight times on the way.
TEST(BasisTraining, ChecksAreOfTextHeldBack) {
  const TempFolder temp;
  const Model model = Model::open(WrittenModel().write(temp.path / "in"));
  const auto tokens = some_tokens(40, 16, 9);
  const auto learn = [&](dim count) {
    return learn_basis(model, std::span(tokens).first(std::size_t(count)),
                       {.inputs = ActSpec("int4"), .steps = 16, .batch = 2, .bf16 = false});
  };
  EXPECT_EQ(learn(7).held_back.size(), 0u);
  const LearnedBasis learned = learn(16);
  ASSERT_EQ(learned.held_back.size(), 9u);
  EXPECT_EQ(learned.losses.size(), 16u);
  // What is kept is the best: from the first bases on where no check was better.
  const bool first = *std::min_element(learned.held_back.begin(), learned.held_back.end()) == learned.held_back[0];
  EXPECT_EQ(apart(*learned.rotation.basis, drawn(64, 0)) < 1e-9, first);
}

}  // namespace
}  // namespace pith::test
