// Factors that move between the tensors of a block.
#include "compress/calibrate/block_norms.h"
#include "compress/fold/edges.h"
#include "compress/fold/scale_block.h"
#include "compress/policy.h"
#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe scaled(std::string_view format) {
  Recipe recipe = recipe_for(format);
  recipe.steps = steps_of("awq", {});
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 16, .seed = 3};
  return recipe;
}

// Some inputs are much larger than others, so that there is something to scale.
void make_loud(const std::string& name, std::vector<float>& values) {
  if (name.find("layernorm") != name.npos)
    for (std::size_t i = 0; i < values.size(); i += 17) values[i] *= 30;
  if (name.find("v_proj") != name.npos || name.find("up_proj") != name.npos || name.find("w3") != name.npos)
    std::fill(values.begin(), values.begin() + dim(values.size() / 8), 0.3f);
}

std::vector<float> logits_of(const Network& network) {
  Forward forward(network);
  KvCache cache(*network.config, 1, 16);
  const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60};
  const Chunk chunk = {0, tokens, 0};
  std::vector<float> out;
  forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
    out.insert(out.end(), logits, logits + rows * network.config->vocab);
  });
  return out;
}

// The model with its factors in f32 and nothing rounded.
class Folded {
 public:
  Folded(const Model& model, const Recipe& recipe, const std::filesystem::path& target)
      : model_(model), blocks_(model.blocks().begin(), model.blocks().end()) {
    const Prepared prepared = prepare(model, model, recipe, Container::gguf, target, no_progress());
    Calibrator calibrator(model, calibration_tokens(model, *recipe.calibration),
                          {.with_moments = true, .compressed_prefix = false});
    for (dim layer = 0; layer < model.config().layers; ++layer) {
      calibrator.gather(layer, no_progress());
      for (const auto& [index, scales] : scale_block(model, prepared, layer, calibrator)) {
        scaled_roles.insert(model.tensors()[index].role);
        replace(index, scales);
      }
    }
  }
  std::vector<float> logits() const {
    Network network = Network::of(model_);
    network.blocks = blocks_;
    return logits_of(network);
  }
  std::set<Role> scaled_roles;

 private:
  void replace(std::size_t index, const TensorScales& scales) {
    const ModelTensor& t = model_.tensors()[index];
    const ExportTensor plain{.source = index, .format = &f32_format(), .rows_from = {}, .slots = {}};
    auto& w = weights_.emplace_back().emplace<Encoded>();
    w.format = &f32_format();
    w.rows = t.weight.rows;
    w.cols = t.weight.cols;
    w.owned = Buffer(w.rows * w.cols * dim(sizeof(float)));
    w.data = w.owned.data();
    float* values = w.owned.as<float>();
    SourceRows(model_, plain, {}, nullptr, &scales).load(0, w.rows, values);
    Block& block = blocks_[std::size_t(t.layer)];
    if (Norm* norm = find_norm(block, t.role))
      (t.part == Part::weight ? norm->weight : norm->bias) = values;
    else if (t.part == Part::weight)
      find_linear(block, t.role, t.expert)->weight = &weights_.back();
    else
      find_linear(block, t.role, t.expert)->bias = values;
  }

  const Model& model_;
  std::vector<Block> blocks_;
  std::deque<Weight> weights_;
};

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float v : values) most = std::max(most, double(std::fabs(v)));
  return most;
}

}  // namespace

// Grouped heads; all heads with their own values; experts.
TEST(Fold, LeavesTheModelAsItIs) {
  const std::vector<GeneratedModel> models = {
      {.edit = make_loud}, {.kv_heads = 4, .edit = make_loud}, {.ffn = 256, .experts = 4, .edit = make_loud}};
  for (const GeneratedModel& m : models) {
    const TempFolder temp;
    const Model model = Model::open(write_model(temp.path / "in", m));
    const Folded folded(model, scaled("q4_0"), temp.path / "out.gguf");
    EXPECT_TRUE(folded.scaled_roles.count(Role::attn_norm));
    EXPECT_TRUE(folded.scaled_roles.count(m.experts ? Role::router : Role::ffn_gate));
    EXPECT_TRUE(folded.scaled_roles.count(m.experts ? Role::expert_down : Role::ffn_down));
    EXPECT_EQ(folded.scaled_roles.count(Role::attn_o), m.kv_heads == m.heads ? 1u : 0u);
    const auto before = logits_of(Network::of(model)), after = folded.logits();
    ASSERT_EQ(before.size(), after.size());
    EXPECT_NE(before, after);
    for (std::size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(before[i], after[i], 1e-5 * largest(before));
  }
}

// A norm in bf16 keeps its rounding to itself: what it multiplies by is what the matrices were divided by.
TEST(Fold, FactorsAreWhatTheNormCanStore) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {.dtype = "BF16", .edit = make_loud}));
  const Prepared prepared = prepare(model, model, scaled("int4_g32"), Container::hf, temp.path / "out", no_progress());
  Calibrator calibrator(model, calibration_tokens(model, *scaled("q4_0").calibration), {.with_moments = true});
  calibrator.gather(0, no_progress());
  const BlockScales scales = scale_block(model, prepared, 0, calibrator);
  const auto index = [&](Role role) { return std::size_t(model.find(role, 0) - model.tensors().data()); };
  const ModelTensor& norm = *model.find(Role::attn_norm, 0);
  ASSERT_TRUE(scales.count(index(Role::attn_norm)));
  const auto& divided = scales.at(index(Role::attn_norm)).cols;
  const auto& multiplied = scales.at(index(Role::attn_q)).cols;
  std::vector<float> n(divided.size());
  norm.weight.format->decode(*norm.weight.format, norm.weight.data, norm.weight.cols, n.data());
  for (std::size_t c = 0; c < n.size(); ++c) {
    const float stored = n[c] * divided[c];
    float kept = 0;
    std::byte code[2];
    bf16_format().encode(bf16_format(), &stored, nullptr, 1, RangeSearch{}, code);
    bf16_format().decode(bf16_format(), code, 1, &kept);
    ASSERT_NEAR(kept * multiplied[c], n[c], 1e-6 * std::fabs(n[c])) << c;
  }
}

TEST(Fold, NormsStoredLessOneAreScaledAsTheyCount) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  const std::size_t index = std::size_t(model.find(Role::attn_norm, 0) - model.tensors().data());
  const ExportTensor out{.source = index, .format = &f32_format(), .rows_from = {}, .add = 1, .slots = {}};
  TensorScales scales;
  scales.cols.assign(std::size_t(model.config().hidden), 0.5f);
  scales.offset = 1;
  std::vector<float> plain(scales.cols.size()), got(plain.size());
  const ExportTensor itself{.source = index, .format = &f32_format(), .rows_from = {}, .slots = {}};
  SourceRows(model, itself, {}).load(0, 1, plain.data());
  SourceRows(model, out, {}, nullptr, &scales).load(0, 1, got.data());
  for (std::size_t c = 0; c < got.size(); ++c) ASSERT_FLOAT_EQ(got[c], (plain[c] + 1) * 0.5f);  // - 1, and add 1
}

TEST(Fold, SaysWhatItLeavesAlone) {
  const TempFolder temp;
  const Model grouped = Model::open(write_model(temp.path / "a", {}));
  EXPECT_EQ(fold_edges(grouped, 0).closed,
            std::vector<std::string>{"attention output: several heads read the same values"});
  EXPECT_EQ(fold_edges(grouped, 0).edges.size(), 3u);
  const Model own = Model::open(write_model(temp.path / "b", {.kv_heads = 4}));
  EXPECT_TRUE(fold_edges(own, 0).closed.empty());
  const Model experts = Model::open(write_model(temp.path / "c", {.kv_heads = 4, .experts = 4}));
  const auto edges = fold_edges(experts, 1).edges;
  ASSERT_EQ(edges.size(), 2u + 1 + 4);
  EXPECT_EQ(edges[1].readers.size(), 1u + 2 * 4);  // the router, gate and up of each expert
}

// A tensor whose codes are kept keeps its inputs, too.
TEST(Fold, KeptCodesAreNotScaled) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.edit = make_loud});
  Recipe first = recipe_for("q4_0");
  first.overrides = {parse_override("attn_q|attn_k|attn_v=f32")};
  run(source, first, temp.path / "mixed.gguf");
  const Model model = Model::open(temp.path / "mixed.gguf");
  const Folded folded(model, scaled("q4_0"), temp.path / "out.gguf");
  EXPECT_EQ(folded.scaled_roles, (std::set<Role>{Role::attn_norm, Role::attn_q, Role::attn_k, Role::attn_v}));
}

}  // namespace pith::test
