// Gradients of a block against central differences of the double-precision reference, for every choice of Config.
#include "model/backward/block_backward.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/sparse.h"  // weight_rows
#include "tests/model/reference_llama.h"
#include "tests/model/tiny_choices.h"

namespace pith {
namespace {

constexpr dim kLayer = 1, kHidden = 40;
const std::vector<dim> kLengths = {19, 1, 8};

std::vector<float> normals(dim n, std::uint64_t seed, double spread) {
  Rng rng(seed);
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = float(rng.normal() * spread);
  return v;
}

// A linear function of what follows the block, by the reference: every sequence by itself.
double loss(const test::TinyNetwork& tiny, const std::vector<double>& hidden, const std::vector<float>& weights) {
  const test::ReferenceLlama reference(tiny.network());
  double sum = 0;
  std::size_t at = 0;
  for (const dim length : kLengths) {
    std::vector<test::Vec> x;
    for (dim t = 0; t < length; ++t)
      x.emplace_back(hidden.begin() + std::ptrdiff_t(at) + t * kHidden,
                     hidden.begin() + std::ptrdiff_t(at) + (t + 1) * kHidden);
    reference.layer(x, kLayer);
    for (const test::Vec& row : x)
      for (const double v : row) sum += v * double(weights[at++]);
  }
  return sum;
}

class BlockGradientsOf : public testing::TestWithParam<test::Choice> {
 protected:
  void SetUp() override {
    Config config = test::small_config();
    test::TinyChoices choices;
    GetParam().set(config, choices);
    tiny_ = std::make_unique<test::TinyNetwork>(config, choices, 11);
    rows_ = 0;
    for (const dim length : kLengths) rows_ += length;
    hidden_ = normals(rows_ * kHidden, 5, 0.7);
    weights_ = normals(rows_ * kHidden, 6, 1);
  }

  // One entry that finite differences are compared with; `value` may be moved and is put back.
  void check(float* value, float got, double size, const std::string& what) {
    const std::vector<double> hidden(hidden_.begin(), hidden_.end());
    const float before = *value;
    const float step = 0x1p-18f;  // seldom over a kink of relu
    *value = before + step;
    const double up = loss(*tiny_, hidden, weights_), high = double(*value);
    *value = before - step;
    const double down = loss(*tiny_, hidden, weights_), low = double(*value);
    *value = before;
    expect_near(got, (up - down) / (high - low), size, what);
  }
  // f32 sums, and the third derivative times step^2 / 6: both far below a thousandth of the gradients' size.
  static void expect_near(float got, double expected, double size, const std::string& what) {
    EXPECT_NEAR(double(got), expected, 5e-4 * size + 1e-5) << what;
  }
  static double size_of(const std::vector<float>& g) {
    double most = 0;
    for (const float v : g) most = std::max(most, std::fabs(double(v)));
    return most;
  }

  std::unique_ptr<test::TinyNetwork> tiny_;
  dim rows_ = 0;
  std::vector<float> hidden_, weights_;
};

// Every tensor's gradient, in an order of its own.
struct Wanted {
  BlockGradients gradients;
  struct Entry {
    std::string name;
    float* values;
    std::unique_ptr<std::vector<float>> gradient;
  };
  std::vector<Entry> entries;

  explicit Wanted(test::TinyNetwork& tiny) {
    const Block& b = tiny.network().blocks[kLayer];
    const Config& c = tiny.config();
    const auto vector = [&](const std::string& name, const float* values, dim n, float*& to) {
      if (values) add(name, tiny.mutable_vector(values), n, to);
    };
    const auto matrix = [&](const std::string& name, const Linear& l, Gradient& to) {
      if (!l.weight) return;
      const dim rows = weight_rows(*l.weight);
      add(name, tiny.mutable_values(l), rows * weight_cols(*l.weight), to.weight);
      vector(name + " bias", l.bias, rows, to.bias);
    };
    const auto norm = [&](const std::string& name, const Norm& n, dim size, Gradient& to) {
      vector(name, n.weight, size, to.weight);
      vector(name + " bias", n.bias, size, to.bias);
    };
    matrix("q", b.q, gradients.q), matrix("k", b.k, gradients.k), matrix("v", b.v, gradients.v);
    matrix("qkv", b.qkv, gradients.qkv), matrix("o", b.o, gradients.o), matrix("gate", b.gate, gradients.gate);
    matrix("up", b.up, gradients.up), matrix("gate_up", b.gate_up, gradients.gate_up);
    matrix("down", b.down, gradients.down);
    const bool shared = c.head_norms == HeadNorms::shared;
    norm("attn_norm", b.attn_norm, c.hidden, gradients.attn_norm);
    norm("ffn_norm", b.ffn_norm, c.hidden, gradients.ffn_norm);
    norm("attn_post_norm", b.attn_post_norm, c.hidden, gradients.attn_post_norm);
    norm("ffn_post_norm", b.ffn_post_norm, c.hidden, gradients.ffn_post_norm);
    norm("q_norm", b.q_norm, shared ? c.head_dim : c.heads * c.head_dim, gradients.q_norm);
    norm("k_norm", b.k_norm, shared ? c.head_dim : c.kv_heads * c.head_dim, gradients.k_norm);
  }

 private:
  void add(const std::string& name, float* values, dim n, float*& to) {
    entries.push_back({name, values, std::make_unique<std::vector<float>>(std::size_t(n), 0.5f)});  // added to
    to = entries.back().gradient->data();
  }
};

TEST_P(BlockGradientsOf, EqualCentralDifferences) {
  BlockBackward block(tiny_->network(), 24, 3);
  Wanted wanted(*tiny_);
  std::vector<float> hidden = hidden_, gradient = weights_;
  block.forward(kLayer, hidden.data(), kLengths);
  double after = 0;
  for (std::size_t i = 0; i < hidden.size(); ++i) after += double(hidden[i]) * double(weights_[i]);
  std::vector<double> exact(hidden_.begin(), hidden_.end());
  EXPECT_NEAR(after, loss(*tiny_, exact, weights_), 2e-3);
  block.backward(gradient.data(), wanted.gradients);

  Rng rng(9);
  const double size = size_of(gradient);
  for (int k = 0; k < 12; ++k) {
    const auto i = std::size_t(rng.below(dim(exact.size())));
    const double before = exact[i], step = 1e-6;
    exact[i] = before + step;
    const double up = loss(*tiny_, exact, weights_);
    exact[i] = before - step;
    const double down = loss(*tiny_, exact, weights_);
    exact[i] = before;
    expect_near(gradient[i], (up - down) / (2 * step), size, "hidden " + std::to_string(i));
  }
  EXPECT_FALSE(wanted.entries.empty());
  for (const Wanted::Entry& e : wanted.entries) {
    const std::vector<float>& g = *e.gradient;
    for (int k = 0; k < 4; ++k) {
      const auto i = std::size_t(rng.below(dim(g.size())));
      check(e.values + i, g[i] - 0.5f, size_of(g), e.name + " " + std::to_string(i));
    }
  }
}

TEST_P(BlockGradientsOf, SameBitsForAnyNumberOfThreads) {
  const int before = num_threads();
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    BlockBackward block(tiny_->network(), 24, 3);
    Wanted wanted(*tiny_);
    std::vector<float> hidden = hidden_, gradient = weights_;
    block.forward(kLayer, hidden.data(), kLengths);
    block.backward(gradient.data(), wanted.gradients);
    for (const Wanted::Entry& e : wanted.entries)
      gradient.insert(gradient.end(), e.gradient->begin(), e.gradient->end());
    results.push_back(gradient);
  }
  set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
}

INSTANTIATE_TEST_SUITE_P(All, BlockGradientsOf, testing::ValuesIn(test::kChoices),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(BlockBackward, RefusesExperts) {
  Config config = test::small_config();
  const test::TinyNetwork tiny(config, {}, 3);
  Config experts = config;
  experts.experts = 4;
  Network network = tiny.network();
  network.config = &experts;
  try {
    BlockBackward block(network, 8, 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("without mixtures of experts"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace pith
