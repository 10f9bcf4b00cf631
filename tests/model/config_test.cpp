#include <nlohmann/json.hpp>

#include "formats/format.h"
#include "model/export.h"
#include "model/rope_scaling.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using nlohmann::json;
using test::all_f32;
using test::write_plan;

TEST(Config, NewerFilesNestTheRotation) {
  const test::TempFolder out;
  test::WrittenModel m;
  m.config.erase("rope_theta");
  m.config["rope_parameters"] = {{"rope_type", "linear"}, {"rope_theta", 1000000}, {"factor", 4}};
  const Config c = Model::open(m.write(out.path)).config();
  EXPECT_EQ(c.rope.base, 1e6);
  EXPECT_EQ(c.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(c.rope.factor, 4);
}

TEST(Config, DefaultsAreThoseOfTheFamily) {
  const test::TempFolder out;
  test::WrittenModel m;
  for (const char* key : {"rope_theta", "num_key_value_heads", "hidden_act"}) m.config.erase(key);
  m.config["rope_scaling"] = nullptr;
  m.config["num_attention_heads"] = 2;  // of 32, and as many for keys: the tensors say otherwise
  EXPECT_THROW((void)Model::open(m.write(out.path)), Error);
  m.config["num_key_value_heads"] = 1;
  const Config c = Model::open(m.write(out.path)).config();
  EXPECT_EQ(c.rope.base, 10000);
  EXPECT_EQ(c.head_dim, 32);
  EXPECT_EQ(c.rope.dims, 32);
  EXPECT_EQ(c.rope.scaling, RopeScaling::none);
}

TEST(Config, MistralSlidesAndLlamaDoesNot) {
  const test::TempFolder out;
  test::WrittenModel m;
  m.config["sliding_window"] = 64;
  EXPECT_EQ(Model::open(m.write(out.path / "a")).config().sliding_window, 0);
  m.config["model_type"] = "mistral";
  const Model hf = Model::open(m.write(out.path / "a"));
  EXPECT_EQ(hf.config().sliding_window, 64);
  const Model gguf = Model::open(write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path));
  EXPECT_EQ(gguf.gguf_meta()->get_string("general.architecture"), "llama");
  EXPECT_EQ(gguf.config().sliding_window, 64);
  const Model back =
      Model::open(write_plan(gguf, plan_export(gguf, Container::hf, all_f32(gguf), "b"), out.path / "b"));
  const auto config = json::parse(back.hf_config());
  EXPECT_EQ(config["model_type"], "mistral");
  EXPECT_EQ(config["architectures"], json::array({"MistralForCausalLM"}));
  EXPECT_EQ(config["sliding_window"], 64);
}

TEST(Config, YarnSurvivesGguf) {
  const test::TempFolder out;
  test::WrittenModel m;
  m.config["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
  const Model hf = Model::open(m.write(out.path / "a"));
  EXPECT_EQ(hf.config().rope.scaling, RopeScaling::yarn);
  EXPECT_EQ(hf.config().rope.original_context, 32);
  EXPECT_NEAR(hf.config().rope.attn_factor, 1.138629436, 1e-9);  // 0.1 ln 4 + 1
  const Model gguf = Model::open(write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path));
  const Rope& rope = gguf.config().rope;
  EXPECT_EQ(gguf.gguf_meta()->get_string("llama.rope.scaling.type"), "yarn");
  EXPECT_FALSE(gguf.gguf_meta()->has("llama.rope.scaling.attn_factor"));  // 1 on top of YaRN's own
  EXPECT_EQ(rope.scaling, RopeScaling::yarn);
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.original_context, 32);
  EXPECT_NEAR(rope.attn_factor, 1.138629436, 1e-9);
}

TEST(Config, FactorsOfNoPublishedRecipeStayInGguf) {
  Rope rope;
  rope.dims = 8;
  rope.freq_factors = {1, 1, 1, 1};
  EXPECT_EQ(named_scaling(rope).scaling, RopeScaling::none);
  rope.freq_factors = {1, 2, 3, 4};
  EXPECT_THROW((void)named_scaling(rope), Error);
}

// The head that config.json declares to be the embedding is neither read nor kept.
TEST(Config, DeclaredTieWinsOverAStoredHead) {
  const test::TempFolder out;
  test::WrittenModel m;
  m.tensors.push_back(test::f32_tensor("lm_head.weight", {40, 64}));
  const Model model = Model::open(m.write(out.path));
  EXPECT_TRUE(model.config().tied_embeddings);
  EXPECT_FALSE(model.find(Role::lm_head, -1));
  EXPECT_EQ(model.lm_head().weight, model.embed().weight);
}

// Writes tensors [begin, end) of a GGUF as part `number` of `count`.
void write_split(const GgufFile& whole, const std::filesystem::path& path, std::uint16_t number, std::uint16_t count,
                 std::size_t begin, std::size_t end) {
  GgufMeta meta = number == 0 ? whole.meta() : GgufMeta();
  meta.set("split.no", number);
  meta.set("split.count", count);
  meta.set("split.tensors.count", std::int32_t(whole.tensors().size()));
  const std::vector<GgufTensor> part(whole.tensors().begin() + dim(begin), whole.tensors().begin() + dim(end));
  const FileLayout layout = gguf_layout(meta, part);
  std::string bytes = layout.head;
  bytes.resize(std::size_t(layout.total_bytes), '\0');
  for (std::size_t i = 0; i < part.size(); ++i)
    std::copy_n(reinterpret_cast<const char*>(whole.data(part[i])), part[i].size_bytes,
                bytes.begin() + layout.offsets_bytes[i]);
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(Config, SplitGgufOpensWhole) {
  const test::TempFolder out;
  const Model hf = Model::open(test::WrittenModel().write(out.path / "a"));
  const auto file = write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path);
  const Model one = Model::open(file);
  {
    const GgufFile whole(file);
    write_split(whole, out.path / "s-00001-of-00002.gguf", 0, 2, 0, 7);
    write_split(whole, out.path / "s-00002-of-00002.gguf", 1, 2, 7, whole.tensors().size());
  }
  const Model split = Model::open(out.path / "s-00001-of-00002.gguf");
  ASSERT_EQ(split.tensors().size(), one.tensors().size());
  for (std::size_t i = 0; i < one.tensors().size(); ++i)
    EXPECT_EQ(test::decoded(split.tensors()[i]), test::decoded(one.tensors()[i])) << one.tensors()[i].name;
  const auto plan = plan_export(split, Container::gguf, all_f32(split), "again.gguf");
  EXPECT_FALSE(Model::open(write_plan(split, plan, out.path)).gguf_meta()->has("split.count"));

  std::filesystem::remove(out.path / "s-00002-of-00002.gguf");
  EXPECT_THROW((void)Model::open(out.path / "s-00001-of-00002.gguf"), Error);
}

}  // namespace
}  // namespace pith
