// Blocks that share matrices: made, written, opened, multiplied out, rounded; and folders that say it wrongly.
#include <csignal>
#include <fstream>

#include "compress/method.h"
#include "model/factored.h"
#include "model/fast_network.h"
#include "model/shared.h"
#include "model/surgery.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"
#include "tests/compress/run_as.h"
#include "train/trainable.h"

namespace pith::test {

namespace {

Recipe sharing(const char* chain, std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of(chain, {});
  give_options(recipe.steps, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

// hidden 128, kv width 64, 256 neurons
const GeneratedModel kFour = {.layers = 4, .hidden = 128, .ffn = 256};

dim linear_values(const Model& model) {
  dim sum = 0;
  for (const ModelTensor& t : model.tensors())
    if (is_linear(t.role) && t.part != Part::bias) sum += t.weight.rows * t.weight.cols;
  return sum;
}

constexpr dim kBlock = 2 * 128 * 128 + 2 * 64 * 128 + 3 * 256 * 128;  // values of a block's matrices
// Of its differences, a rank.
constexpr dim kRank = 2 * (128 + 128) + 2 * (64 + 128) + 3 * (256 + 128);

}  // namespace

TEST(Share, AFullDifferenceGivesTheOriginal) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  const std::vector<float> said = logits_of(Model::open(source));
  for (const char* base : {"base=mean", "base=first"}) {
    const auto own = temp.path / base;
    run_as(Container::pith, source, sharing("share", {"groups=1-2", "rank=4096", base}), own);
    const Model model = Model::open(own);
    EXPECT_LT(distance(said, logits_of(model)), 1e-3 * length(said)) << base;
    EXPECT_EQ(model.find(Role::attn_q, 2), model.find(Role::attn_q, 1));
    EXPECT_EQ(model.find(Role::attn_q, 2)->readers, 2);
    EXPECT_EQ(readers_of(model, *model.find(Role::ffn_down, 1)), (std::vector<dim>{1, 2}));
    EXPECT_NE(model.find(Role::attn_norm, 2), model.find(Role::attn_norm, 1));
    EXPECT_EQ(model.find(Role::attn_k, 2, Part::difference_a)->shape, (std::vector<dim>{64, 128}));
    EXPECT_EQ(model.find(Role::ffn_down, 2, Part::difference_b)->shape, (std::vector<dim>{128, 128}));
    EXPECT_EQ(model.find(Role::attn_k, 1, Part::difference_a) != nullptr, std::string(base) == "base=mean");
    EXPECT_NE(read_file(own / "config.json").find("\"shared\""), std::string::npos);
  }
}

TEST(Share, BlocksThatAreAlikeLoseNothing) {
  const TempFolder temp;
  GeneratedModel alike = kFour;
  alike.edit = [](const std::string& name, std::vector<float>& values) {
    if (name.find("layers.2.") != name.npos && name.find("_proj") != name.npos) {
      GeneratedTensor t{name, {std::int64_t(values.size()), 1}};
      t.name.replace(t.name.find("layers.2."), 9, "layers.1.");
      values = generated_values(kFour, t);
    }
  };
  const auto source = write_model(temp.path / "in", alike);
  const std::vector<float> said = logits_of(Model::open(source));
  for (const char* base : {"base=mean", "base=first"}) {
    // What is most alike is found.
    run_as(Container::pith, source, sharing("share", {"blocks=1", "rank=0", base}), temp.path / base);
    const Model model = Model::open(temp.path / base);
    EXPECT_EQ(model.find(Role::attn_q, 2), model.find(Role::attn_q, 1)) << base;
    EXPECT_EQ(logits_of(model), said) << base;
    EXPECT_EQ(linear_values(model), 3 * kBlock);
  }
}

TEST(Share, TheErrorFallsWithTheRank) {
  const TempFolder temp;
  GeneratedModel near = kFour;
  near.edit = [](const std::string& name, std::vector<float>& values) {
    if (name.find("_proj") == name.npos) return;
    GeneratedTensor first{name, {std::int64_t(values.size()), 1}};
    first.name.replace(first.name.find("layers."), 9, "layers.0.");
    const std::vector<float> alike = generated_values(kFour, first);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = alike[i] + 0.3f * values[i];
  };
  const auto source = write_model(temp.path / "in", near);
  const std::vector<float> said = logits_of(Model::open(source));
  for (const char* prefix : {"prefix=compressed", "prefix=original"}) {
    double last = 1e30;
    for (const dim rank : {0, 8, 32, 64}) {
      run_as(Container::pith, source, sharing("share", {"groups=0-2", fmt::format("rank={}", rank), prefix}),
             temp.path / "out", {.max_ram_bytes = {}, .overwrite = true});
      const Model model = Model::open(temp.path / "out");
      const double off = distance(said, logits_of(model));
      EXPECT_LT(off, last) << rank;
      last = off;
      EXPECT_EQ(linear_values(model), 2 * kBlock + 3 * rank * kRank) << rank;
    }
  }
}

TEST(Share, OnlyWhatIsSelectedIsShared) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  run_as(Container::pith, source, sharing("share", {"groups=0-1,2-3", "rank=4", "where=ffn_up|ffn_gate"}),
         temp.path / "out");
  const Model model = Model::open(temp.path / "out");
  EXPECT_EQ(model.find(Role::ffn_up, 3), model.find(Role::ffn_up, 2));
  EXPECT_NE(model.find(Role::ffn_down, 3), model.find(Role::ffn_down, 2));
  EXPECT_EQ(linear_values(model), 4 * kBlock - 4 * 256 * 128 + 8 * 4 * (256 + 128));
}

TEST(Share, MultipliedOutForOtherContainers) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  run_as(Container::pith, source, sharing("share", {"groups=1-3", "rank=16"}), temp.path / "own");
  const std::vector<float> said = logits_of(Model::open(temp.path / "own"));
  for (const char* name : {"merged", "merged.gguf"}) {
    const bool gguf = std::string(name).ends_with("gguf");
    run_as(gguf ? Container::gguf : Container::hf, temp.path / "own", {}, temp.path / name);
    const Model merged = Model::open(temp.path / name);
    EXPECT_FALSE(is_shared(merged));
    EXPECT_EQ(linear_values(merged), 4 * kBlock);
    EXPECT_LT(distance(said, logits_of(merged)), 1e-3 * length(said)) << name;
    if (!gguf) {
      EXPECT_EQ(read_file(temp.path / name / "config.json").find("shared"), std::string::npos);
    }
    // And back, from that container's names and order of rows.
    run_as(Container::pith, temp.path / name, sharing("share", {"groups=1-2", "rank=4096"}), temp.path / "again",
           {.max_ram_bytes = {}, .overwrite = true});
    EXPECT_LT(distance(said, logits_of(Model::open(temp.path / "again"))), 2e-3 * length(said)) << name;
  }
}

TEST(Share, RoundedAfterwardsAndRunFast) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  run_as(Container::pith, source, sharing("share", {"groups=1-2", "rank=32"}), temp.path / "plain");
  const std::vector<float> said = logits_of(Model::open(temp.path / "plain"));
  double last = 0;
  for (const char* format : {"q8_0", "int4_g32"}) {
    Recipe recipe = sharing("share+gptq", {"groups=1-2", "rank=32"});
    recipe.format = &format_or_throw(format);
    run_as(Container::pith, source, recipe, temp.path / format);
    const Model out = Model::open(temp.path / format);
    for (const Part part : {Part::weight, Part::difference_a, Part::difference_b})
      EXPECT_EQ(out.find(Role::attn_v, 2, part)->weight.format->name, format);
    const double off = distance(said, logits_of(out));
    EXPECT_GT(off, last);
    EXPECT_LT(off, 0.5 * length(said));
    last = off;
    const FastNetwork fast(out);
    EXPECT_EQ(fast.network().blocks[1].q.panels, fast.network().blocks[2].q.panels);
    Forward forward(fast.network());
    KvCache cache(out.config(), 1, 16);
    const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
    const std::span<const float> quick = forward.next(cache, tokens);
    const std::vector<float> slow = logits_of(out);
    const std::vector<float> tail(slow.end() - dim(quick.size()), slow.end());
    EXPECT_LT(distance({quick.begin(), quick.end()}, tail), 0.1 * length(tail)) << format;
  }
}

TEST(Share, AKilledRunGoesOnToTheSameBytesForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  Recipe recipe = sharing("share+gptq", {"blocks=1", "rank=8"});
  recipe.format = &format_or_throw("int4_g32");
  run_as(Container::pith, source, recipe, temp.path / "whole");
  struct Killer final : Progress {
    int left = 25;
    bool compressing = false;
    void begin(std::string_view stage, dim) override { compressing = stage == "compress"; }
    void advance(dim, std::string_view) override {
      if (compressing && --left == 0) raise(SIGKILL);
    }
    void end() override {}
  };
  const int status = in_child([&] {  // on one thread
    Killer killer;
    compress(Model::open(source), recipe, Container::pith, temp.path / "out", {}, killer);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  run_as(Container::pith, source, recipe, temp.path / "out", {.max_ram_bytes = {}, .resume = true});
  EXPECT_EQ(read_file(temp.path / "out" / "model.safetensors"), read_file(temp.path / "whole" / "model.safetensors"));
}

TEST(Share, DamagedFoldersAreRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  run_as(Container::pith, source, sharing("share", {"groups=0-1,2-3", "rank=8"}), temp.path / "good");
  const auto fault_after = [&](const char* file, const std::string& from, const std::string& to) {
    std::filesystem::remove_all(temp.path / "bad");
    std::filesystem::copy(temp.path / "good", temp.path / "bad");
    std::string bytes = read_file(temp.path / "bad" / file);
    const std::size_t at = bytes.find(from);
    EXPECT_NE(at, bytes.npos) << from;
    bytes.replace(at, from.size(), to);
    std::ofstream(temp.path / "bad" / file, std::ios::binary) << bytes;
    return error_of([&] { (void)Model::open(temp.path / "bad"); });
  };
  const auto expect = [](const std::string& got, const char* text) {
    EXPECT_NE(got.find(text), got.npos) << got << "\n" << text;
  };
  const char* config = "config.json";
  expect(fault_after(config, "\"3\": 2", "\"3\": 1"), "pith.shared.3: expected a block with matrices of its own");
  for (const char* wrong : {"\"3\": 3", "\"2\": 3", "\"3\": -1", "\"3\": 1e300", "\"3\": \"2\"", "\"3\": [2]",
                            "\"4\": 2", "\"0\": 0", "\"x\": 2", "\"3x\": 2", "\"\": 2"})
    expect(fault_after(config, "\"3\": 2", wrong), "pith.shared.");
  EXPECT_EQ(fault_after(config, "\"3\": 2", "\"3\": 0"), "");  // another model, but a whole one
  expect(fault_after(config, "\"shared\"", "\"sharex\""), "model.layers.1.");
  const char* data = "model.safetensors";
  expect(fault_after(data, "layers.0.mlp.up_proj.weight", "layers.0.mlp.uq_proj.weight"), "missing");
  expect(fault_after(data, "layers.1.mlp.up_proj.difference_a", "layers.1.mlp.up_proj.difference_x"),
         "expected the other half of the difference");
  expect(fault_after(data, R"("shape":[8,128])", R"("shape":[128,8])"), "found [128, 8]");
}

TEST(Share, WhatCannotBeIsRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", kFour);
  const Model model = Model::open(source);
  const auto fault = [&](const Model& of, Recipe recipe) {
    recipe.format = &format_or_throw("int4_g32");
    return error_of([&] { compress(of, recipe, Container::pith, temp.path / "out", {}); });
  };
  const auto expect = [](const std::string& got, const char* text) {
    EXPECT_NE(got.find(text), got.npos) << got << "\n" << text;
  };
  expect(fault(model, sharing("share", {"groups=2-9"})), "expected blocks 0 to 3");
  expect(fault(model, sharing("share", {"groups=2-1"})), "runs of blocks");
  expect(fault(model, sharing("share", {"groups=1-2,2-3"})), "runs of blocks");
  expect(fault(model, sharing("share", {"blocks=3"})), "expected room for 3 blocks");
  expect(fault(model, sharing("svd+share", {})), "it is factored");
  for (const char* after : {"awq", "quip", "autoround"})
    expect(fault(model, sharing((std::string("share+") + after).c_str(), {})), "ones that share them");
  for (const char* after : {"share", "svd", "depth", "flap", "quarot", "slicegpt"})
    EXPECT_NE(fault(model, sharing((std::string("share+") + after).c_str(), {})), "") << after;
  run_as(Container::pith, source, sharing("share", {"groups=0-1"}), temp.path / "own");
  const Model shared = Model::open(temp.path / "own");
  expect(error_of([&] { Trainable(shared, {}); }), "ones that share them");
  expect(error_of([&] { (void)cut_model(shared, whole(shared.config())); }), "its blocks share matrices");
  const GeneratedModel experts = {.layers = 2, .hidden = 64, .ffn = 64, .experts = 4};
  expect(fault(Model::open(write_model(temp.path / "moe", experts)), sharing("share", {"groups=0-1"})),
         "it is an expert's");
}

}  // namespace pith::test
