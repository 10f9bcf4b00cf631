#include "compress/calibrate/measure_importance.h"

#include "compress/calibrate/stats_collector.h"
#include "compress/importance.h"
#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// The sums that the whole forward pass shows, as the specification.
struct WholePass {
  StatsCollector stats{false};
  WholePass(const Model& model, const CalibrationTokens& tokens) {
    Forward forward(model);
    KvCache cache(model.config(), 1, 32);
    for (const auto& sequence : tokens.sequences) {
      cache.clear();
      const Chunk chunk = {0, sequence, 0};
      forward.run(
          cache, {&chunk, 1}, [](dim, const float*, dim) {}, &stats);
    }
  }
};

const ImatrixEntry& entry_named(const MeasuredImportance& m, std::string_view name) {
  for (const ImatrixEntry& e : m.contents.entries)
    if (e.name == name) return e;
  throw std::runtime_error("no entry " + std::string(name));
}

}  // namespace

TEST(MeasureImportance, IsWhatTheForwardPassShows) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {.tied = false}));
  const CalibrationChoice choice{.files = {}, .samples = 3, .length = 20, .seed = 1};
  const WholePass whole(model, calibration_tokens(model, choice));
  const MeasuredImportance got = measure_importance(model, choice);
  EXPECT_EQ(got.tokens, 60);
  EXPECT_EQ(got.contents.chunks, 3);
  EXPECT_EQ(got.contents.entries.size(), 2u * 7 + 1);
  for (const auto& [name, role] : {std::pair{"blk.1.attn_k.weight", Role::attn_k},
                                   {"blk.1.attn_output.weight", Role::attn_o},
                                   {"blk.1.ffn_gate.weight", Role::ffn_gate},
                                   {"blk.1.ffn_down.weight", Role::ffn_down}}) {
    const ImatrixEntry& entry = entry_named(got, name);
    EXPECT_EQ(entry.counts, std::vector<float>{60}) << name;
    const auto& expected = whole.stats.find(role, 1)->squares;
    ASSERT_EQ(entry.sums.size(), expected.size()) << name;
    for (std::size_t c = 0; c < expected.size(); ++c)
      ASSERT_NEAR(entry.sums[c], expected[c], 1e-5 * expected[c] + 1e-9);
  }
  const auto& head = whole.stats.find(Role::lm_head, -1)->squares;
  for (std::size_t c = 0; c < head.size(); ++c)
    ASSERT_NEAR(entry_named(got, "output.weight").sums[c], head[c], 1e-5 * head[c]);
}

TEST(MeasureImportance, ExpertsHaveTheirOwn) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {.layers = 1, .ffn = 256, .experts = 4}));
  const CalibrationChoice choice{.files = {}, .samples = 2, .length = 16, .seed = 2};
  const WholePass whole(model, calibration_tokens(model, choice));
  const MeasuredImportance got = measure_importance(model, choice);
  const ImatrixEntry& up = entry_named(got, "blk.0.ffn_up_exps.weight");
  ASSERT_EQ(up.counts.size(), 4u);
  EXPECT_EQ(up.counts[0] + up.counts[1] + up.counts[2] + up.counts[3], 2 * 32);  // a token goes to two of them
  for (dim e = 0; e < 4; ++e) {
    const InputStats* expected = whole.stats.find(Role::expert_up, 0, e);
    ASSERT_EQ(up.counts[std::size_t(e)], expected ? float(expected->tokens) : 0.0f) << e;
    if (expected) {
      EXPECT_NEAR(up.sums[std::size_t(e * up.cols + 5)], expected->squares[5], 1e-5 * expected->squares[5]);
    }
  }
}

// Out and in again, and onto the tensors of the model it was measured on.
TEST(MeasureImportance, FileIsTakenByTheCompressor) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  const MeasuredImportance got = measure_importance(model, {.files = {}, .samples = 2, .length = 16, .seed = 0});
  std::ofstream(temp.path / "i.gguf", std::ios::binary) << imatrix_gguf(got.contents);
  const Importance importance = Importance::load(temp.path / "i.gguf", model);
  EXPECT_EQ(importance.size(), dim(got.contents.entries.size()));
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    if (t.role != Role::ffn_down || t.layer != 1) continue;
    const ImatrixEntry& entry = entry_named(got, "blk.1.ffn_down.weight");
    ASSERT_NE(importance.find(i), nullptr);
    for (std::size_t c = 0; c < entry.sums.size(); ++c)
      EXPECT_FLOAT_EQ(importance.find(i)[c], entry.sums[c] / entry.counts[0]);
  }
}

}  // namespace pith::test
