// Experts that are merged: what must not change, what becomes of the router, and which experts are found alike.
#include "compress/structured/expert_groups.h"
#include "compress/structured/walk.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {
namespace {

constexpr std::int64_t kHidden = 64, kFfn = 96;

Recipe merging(std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of("merge_experts", options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

// Which expert a tensor's name speaks of; -1: none.
std::int64_t expert_in(const std::string& name) {
  const std::size_t at = name.find("experts.");
  return at == name.npos ? -1 : std::stoll(name.substr(at + 8));
}

// Experts that `like` sends to another are that one, with its neurons moved on by `by` places for each number between.
GeneratedModel mixture(const std::function<std::int64_t(std::int64_t)>& like, std::int64_t by,
                       bool one_router = false) {
  GeneratedModel m{.hidden = kHidden, .ffn = kFfn, .experts = 4};
  const GeneratedModel plain = m;
  m.edit = [=](const std::string& name, std::vector<float>& values) {
    if (one_router && name.find("block_sparse_moe.gate") != name.npos)
      for (std::int64_t e = 1; e < 4; ++e)
        std::copy_n(values.begin() + like(e) * kHidden, kHidden, values.begin() + e * kHidden);
    const std::int64_t expert = expert_in(name);
    if (expert < 0 || like(expert) == expert) return;
    std::string twin = name;
    twin.replace(twin.find("experts.") + 8, 1, std::to_string(like(expert)));
    const bool down = name.find("w2") != name.npos;
    const GeneratedTensor t{twin,
                            down ? std::vector<std::int64_t>{kHidden, kFfn} : std::vector<std::int64_t>{kFfn, kHidden}};
    const std::vector<float> of = generated_values(plain, t);
    const std::int64_t shift = (expert - like(expert)) * by;
    for (std::int64_t n = 0; n < kFfn; ++n)
      for (std::int64_t c = 0; c < kHidden; ++c) {
        const std::int64_t from = (n + shift) % kFfn;
        values[std::size_t(down ? c * kFfn + n : n * kHidden + c)] =
            of[std::size_t(down ? c * kFfn + from : from * kHidden + c)];
      }
  };
  return m;
}

std::vector<float> row_of(const Model& m, Role role, dim expert, dim r) {
  const ModelTensor& t = *m.find(role, 0, Part::weight, expert);
  std::vector<float> values(std::size_t(t.weight.cols));
  decode_row(t, r, values.data());
  return values;
}

class RouterInputs : public LinearObserver {
 public:
  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override {
    if (role == Role::router && layer == 0) values.insert(values.end(), x, x + rows * cols);
  }
  std::vector<float> values;
};

double dot(const std::vector<float>& a, const float* b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

}  // namespace

// Means of distances by hand: {0, 1} and {10, 12} are 10.5 apart, {10, 12} and {30} 19.
TEST(Cluster, JoinsWhatIsNearestOnAverage) {
  const double at[] = {30, 0, 10, 1, 12};
  std::vector<double> distance;
  for (const double a : at)
    for (const double b : at) distance.push_back(std::fabs(a - b));
  using Groups = std::vector<std::vector<dim>>;
  EXPECT_EQ(cluster(distance, 5, 3), (Groups{{0}, {1, 3}, {2, 4}}));
  EXPECT_EQ(cluster(distance, 5, 2), (Groups{{0}, {1, 2, 3, 4}}));
  EXPECT_EQ(cluster(distance, 5, 5).size(), 5u);
}

// The weights of those that a token uses add up to 1, so that it does not matter which of them it uses.
TEST(MergeExperts, OfOneKindChangeNothingWhateverTheirOrder) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixture([](std::int64_t) { return 0; }, 5));
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* similarity : {"output", "router"}) {
    const auto out = temp.path / similarity;
    run(source, merging({"keep=2", std::string("similarity=") + similarity}), out);
    EXPECT_EQ(Model::open(out).config().experts, 2);
    EXPECT_LT(distance(before, logits_of(Model::open(out))), 1e-4 * length(before)) << similarity;
  }
  run(source, merging({"keep=2", "align=false"}), temp.path / "apart");
  EXPECT_GT(distance(before, logits_of(Model::open(temp.path / "apart"))), 1e-2 * length(before));
}

TEST(MergeExperts, AllKeptChangesNothing) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = kHidden, .ffn = kFfn, .experts = 4});
  run(source, merging({"keep=4"}), temp.path / "out");
  EXPECT_EQ(logits_of(Model::open(source)), logits_of(Model::open(temp.path / "out")));
}

// Of experts 0 to 3 the last is the second again: these are joined, the others stay, in both containers.
TEST(MergeExperts, TwinsAreFound) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixture([](std::int64_t e) { return e == 3 ? 1 : e; }, 7, true));
  const Model whole = Model::open(source);
  for (const char* to : {"out", "out.gguf"}) {
    run(source, merging({"keep=3", "router=mean"}), temp.path / to);
    const Model merged = Model::open(temp.path / to);
    ASSERT_EQ(merged.config().experts, 3);
    int same[4] = {};  // of each expert of the source, how many have its first row of up, or that of a neuron it moved
    for (dim e = 0; e < 3; ++e)
      for (dim of = 0; of < 4; ++of) {
        const bool twin = row_of(merged, Role::expert_up, e, 0) == row_of(whole, Role::expert_up, of, 0);
        same[of] += twin;
        EXPECT_TRUE(!twin || row_of(merged, Role::router, -1, e) == row_of(whole, Role::router, -1, of)) << to;
      }
    EXPECT_EQ(same[0], 1);
    EXPECT_EQ(same[2], 1);
    EXPECT_EQ(same[1] + same[3], 1);
  }
}

// What the merged row says of tokens, against the logarithm of what the rows of its experts say together.
TEST(MergeExperts, TheRouterKeepsTheMassOfAGroup) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixture([](std::int64_t e) { return e == 3 ? 1 : e; }, 7));
  const Model whole = Model::open(source);
  const CalibrationTokens tokens = calibration_tokens(whole, *merging({}).calibration);
  RouterInputs seen;
  walk_blocks(whole, tokens, "", "", no_progress(), seen);
  double error[2] = {};
  for (const bool mass : {false, true}) {
    const auto out = temp.path / (mass ? "mass" : "mean");
    run(source, merging({"keep=3", mass ? "router=mass" : "router=mean"}), out);
    const Model merged = Model::open(out);
    dim joined = 0;  // no row of the source's router
    for (dim e = 0; e < 3; ++e) {
      bool own = false;
      for (dim of = 0; of < 4; ++of)
        own = own || row_of(merged, Role::router, -1, e) == row_of(whole, Role::router, -1, of);
      if (!own) joined = e;
    }
    const auto row = row_of(merged, Role::router, -1, joined), one = row_of(whole, Role::router, -1, 1),
               other = row_of(whole, Role::router, -1, 3);
    for (std::size_t i = 0; i < seen.values.size(); i += std::size_t(kHidden)) {
      const float* x = seen.values.data() + i;
      error[mass] += std::pow(std::log(std::exp(dot(one, x)) + std::exp(dot(other, x))) - dot(row, x), 2);
    }
  }
  EXPECT_LT(error[true], 0.2 * error[false]);
}

TEST(MergeExperts, TooFewAreRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = kHidden, .ffn = kFfn, .experts = 4});
  EXPECT_NE(error_of([&] { run(source, merging({"keep=1"}), temp.path / "x"); }).find("2 (as many"), std::string::npos);
  const auto dense = write_model(temp.path / "dense", {});
  EXPECT_NE(error_of([&] { run(dense, merging({}), temp.path / "x"); }).find("a model without"), std::string::npos);
}

}  // namespace pith::test
