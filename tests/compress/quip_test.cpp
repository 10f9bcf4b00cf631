// Matrices that are rounded between rotations, from a run to the model that reads its files.
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/compress/feedback_support.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe quip(const char* format) {
  Recipe recipe = recipe_for(format);
  recipe.steps = steps_of("quip", {});
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 16, .seed = 3};
  return recipe;
}

Outcome write(const std::filesystem::path& source, const Recipe& recipe, const std::filesystem::path& target,
              Container container = Container::pith, const RunLimits& limits = {}, Progress& progress = no_progress()) {
  return compress(Model::open(source), recipe, container, target, limits, progress);
}

double size_of(const std::vector<float>& v) { return distance(v, std::vector<float>(v.size())); }

class KillerAtStart final : public Progress {  // of a block
 public:
  void begin(std::string_view, dim) override {}
  void advance(dim, std::string_view what) override {
    if (what == "calibrating block 1") raise(SIGKILL);
  }
  void end() override {}
};

}  // namespace

// With codes of 8 bits next to nothing is lost, if what was turned is turned back.
TEST(Quip, TheModelTurnsBack) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 96, .ffn = 160, .tied = false});
  const auto expected = logits_of(Model::open(source));
  write(source, quip("int8_row"), temp.path / "out");
  const Model written = Model::open(temp.path / "out");
  const ModelTensor& down = *written.find(Role::ffn_down, 1);
  ASSERT_TRUE(down.turn);
  EXPECT_TRUE(down.turn->outputs());
  EXPECT_LT(distance(logits_of(written), expected), 0.03 * size_of(expected));  // 8 bits on rows without outliers
}

// From GGUF the rows of q and k move on their way: only their inputs are turned.
TEST(Quip, RowsThatMoveStayApart) {
  const TempFolder temp;
  run(write_model(temp.path / "in", {.hidden = 96, .ffn = 160}), recipe_for("f32"), temp.path / "in.gguf");
  const auto expected = logits_of(Model::open(temp.path / "in.gguf"));
  write(temp.path / "in.gguf", quip("int8_row"), temp.path / "out");
  const Model written = Model::open(temp.path / "out");
  EXPECT_FALSE(written.find(Role::attn_q, 0)->turn->outputs());
  EXPECT_TRUE(written.find(Role::attn_v, 0)->turn->outputs());
  EXPECT_LT(distance(logits_of(written), expected), 0.03 * size_of(expected));
}

// A large value in each row spoils a plain grid of the row; between rotations it is shared out.
TEST(Quip, OutliersDoNotSpoilTheGrid) {
  const TempFolder temp;
  GeneratedModel m{.hidden = 128, .ffn = 256};
  m.edit = [](const std::string& name, std::vector<float>& v) {
    if (name.find("proj") == name.npos) return;
    for (std::size_t i = 5; i < v.size(); i += 128) v[i] *= 20;
  };
  const auto source = write_model(temp.path / "in", m);
  const auto expected = logits_of(Model::open(source));
  write(source, quip("int3_row"), temp.path / "quip");
  Recipe plain = quip("int3_row");
  plain.steps = steps_of("gptq", {});
  write(source, plain, temp.path / "gptq");
  EXPECT_LT(distance(logits_of(Model::open(temp.path / "quip")), expected),
            0.7 * distance(logits_of(Model::open(temp.path / "gptq")), expected));
}

TEST(Quip, SameBytesForAnyNumberOfThreadsAndAfterAKill) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  const int before = num_threads();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    write(source, quip("e8p"), temp.path / fmt::format("{}", threads));
  }
  set_num_threads(before);
  const auto killed = temp.path / "killed";
  const int status = in_child([&] {
    KillerAtStart killer;
    write(source, quip("e8p"), killed, Container::pith, {}, killer);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  write(source, quip("e8p"), killed, Container::pith, {.max_ram_bytes = {}, .resume = true});
  const std::string one = read_file(temp.path / "1" / "model.safetensors");
  EXPECT_EQ(one, read_file(temp.path / "3" / "model.safetensors"));
  EXPECT_EQ(one, read_file(killed / "model.safetensors"));
}

TEST(Quip, OnlyPithsFoldersHoldIt) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  for (const Container container : {Container::gguf, Container::hf}) {
    const char* format = container == Container::gguf ? "q8_0" : "int4_g32";
    const std::string error = error_of([&] { write(source, quip(format), temp.path / "no", container); });
    EXPECT_NE(error.find("use --to pith"), error.npos) << error;
  }
}

// A copy keeps the rotations; anything else is refused.
TEST(Quip, TurnedModelsAreCopiedOrRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  write(source, quip("e8p"), temp.path / "out");
  Recipe copy = recipe_for("e8p");
  copy.format = nullptr;
  write(temp.path / "out", copy, temp.path / "copy");
  EXPECT_EQ(logits_of(Model::open(temp.path / "copy")), logits_of(Model::open(temp.path / "out")));
  EXPECT_NE(error_of([&] { write(temp.path / "out", copy, temp.path / "no.gguf", Container::gguf); }), "");
  Recipe again = recipe_for("int8_row");
  again.allow_requantize = true;
  const std::string error = error_of([&] { write(temp.path / "out", again, temp.path / "no"); });
  EXPECT_NE(error.find("start from the original"), error.npos) << error;
}

// A model whose inputs are turned while it runs has no name that another program knows.
TEST(Rotated, FilesSayNoToOtherPrograms) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  Recipe recipe = recipe_for("int4_g32");
  recipe.steps = steps_of("quarot", {});
  recipe.activations = ActSpec("int8");
  for (const Container container : {Container::gguf, Container::hf}) {
    recipe.format = &format_or_throw(container == Container::gguf ? "q8_0" : "int4_g32");
    const std::string error = error_of([&] { write(source, recipe, temp.path / "no", container); });
    EXPECT_NE(error.find("use --to pith"), error.npos) << error;
  }
  for (const char* format : {"int8_g32", "f32"}) {
    const auto first = temp.path / format, copy = temp.path / (format + std::string("-copy"));
    recipe.format = &format_or_throw(format);
    write(source, recipe, first);
    Recipe as_it_is = recipe_for("f32");
    as_it_is.format = nullptr;
    write(first, as_it_is, copy);
    for (const auto& folder : {first, copy}) {
      const nlohmann::json config = nlohmann::json::parse(read_file(folder / "config.json"));
      EXPECT_EQ(config.at("model_type"), "pith");
      EXPECT_EQ(config.at("architectures"), nlohmann::json({"PithForCausalLM"}));
      EXPECT_EQ(config.at("pith").at("model_type"), "llama");
      EXPECT_EQ(config.at("pith").at("activations"), "int8");
      const Model model = Model::open(folder);
      EXPECT_TRUE(model.config().rotated_down);
      const auto expected = logits_of(Model::open(source));
      EXPECT_LT(distance(logits_of(model), expected), 0.05 * size_of(expected)) << format;  // 8 bits
    }
  }
  recipe.steps = steps_of("quarot", {"down=false"});
  recipe.activations = std::nullopt;
  write(source, recipe, temp.path / "plain", Container::hf);
  EXPECT_EQ(nlohmann::json::parse(read_file(temp.path / "plain" / "config.json")).at("model_type"), "llama");
}

TEST(Quip, RefusesDamagedRotations) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  write(source, quip("e8p"), temp.path / "out");
  const auto config = temp.path / "out" / "config.json";
  const nlohmann::json good = nlohmann::json::parse(read_file(config));
  const auto fault = [&](const nlohmann::json& turned) {
    nlohmann::json bad = good;
    bad["quantization_config"]["layers"]["model.layers.0.mlp.up_proj"]["turned"] = turned;
    std::ofstream(config) << bad.dump();
    return error_of([&] { Model::open(temp.path / "out"); });
  };
  EXPECT_EQ(fault({{"seed", 1}, {"outputs", true}}), "");
  for (const nlohmann::json& turned : {nlohmann::json(3), nlohmann::json::object(), nlohmann::json{{"seed", -1}},
                                       nlohmann::json{{"seed", "x"}}, nlohmann::json{{"seed", 1}, {"outputs", 2}}})
    EXPECT_NE(fault(turned), "") << turned.dump();
}

}  // namespace pith::test
