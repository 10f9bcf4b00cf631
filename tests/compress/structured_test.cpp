// Structured pruning through whole runs: files with smaller matrices that open again and compute what was meant.
#include <map>

#include "compress/method.h"
#include "model/block_forward.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe pruned(const char* method, std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of(method, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

constexpr const char* kNarrow[] = {"wanda_sp", "flap", "llm_pruner"};

// What a test does to tensors whose names hold `part`.
using Edit = std::function<void(const std::string& name, std::vector<float>& values)>;
Edit zeros_in(std::vector<std::string> parts) {
  return [parts](const std::string& name, std::vector<float>& values) {
    for (const std::string& part : parts)
      if (name.find(part) != name.npos) std::fill(values.begin(), values.end(), 0.0f);
  };
}

// The mean over all tokens of the residual stream after the first block.
std::vector<double> mean_after_first(const Model& model, const CalibrationTokens& tokens) {
  const dim hidden = model.config().hidden;
  std::vector<double> mean(static_cast<std::size_t>(hidden));
  BlockForward forward(Network::of(model), 64);
  for (const auto& s : tokens.sequences) {
    std::vector<float> x(s.size() * std::size_t(hidden));
    forward.embed(s, x.data());
    forward.run(0, x.data(), dim(s.size()));
    for (std::size_t i = 0; i < x.size(); ++i) mean[i % std::size_t(hidden)] += double(x[i]) / double(tokens.count());
  }
  return mean;
}

}  // namespace

TEST(Structured, FilesAreSmallerAndOpenInBothContainers) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});  // 4 heads, 2 kv heads, 512 neurons, hidden 256
  for (const char* method : kNarrow) {
    const Recipe recipe = pruned(method, {"ratio=0.5", "heads=1"});
    run(source, recipe, temp.path / method);
    run(source, recipe, temp.path / (std::string(method) + ".gguf"));
    const Model hf = Model::open(temp.path / method), gguf = Model::open(temp.path / (std::string(method) + ".gguf"));
    for (const Model* m : {&hf, &gguf}) {
      EXPECT_EQ(m->config().heads, 2) << method;
      EXPECT_EQ(m->config().kv_heads, 1) << method;
      EXPECT_EQ(m->config().head_dim, 64) << method;
      EXPECT_EQ(m->config().hidden, 256) << method;
      // Of 589,824 weights a block the head takes 98,304; half of all is 294,912, and a neuron is 768.
      EXPECT_EQ(m->config().ffn, 256) << method;
    }
    // GGUF keeps norms in f32, and rows in another order.
    const std::vector<float> a = logits_of(hf), b = logits_of(gguf);
    EXPECT_LT(distance(a, b), 1e-3 * distance(a, std::vector<float>(a.size(), 0.0f)));
    EXPECT_LT(std::filesystem::file_size(temp.path / method / "model.safetensors"),
              std::filesystem::file_size(source / "model.safetensors") * 6 / 10);
  }
}

TEST(Structured, SameBytesForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4, .hidden = 128, .ffn = 256});
  const int before = num_threads();
  for (const char* method : {"wanda_sp", "flap", "llm_pruner", "depth"}) {
    std::vector<std::string> files;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      run(source, pruned(method, {"ratio=0.5"}), temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
      files.push_back(read_file(temp.path / "out.gguf"));
    }
    EXPECT_EQ(files[0], files[1]) << method;
  }
  set_num_threads(before);
}

// Neurons that give nothing are the first to go, and nothing is lost with them.
TEST(Structured, DeadNeuronsGoFirst) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.edit = [](const std::string& name, std::vector<float>& values) {
                                    if (name.find("down_proj") == name.npos) return;
                                    for (std::size_t i = 0; i < values.size(); ++i)
                                      if (i % 512 % 4 == 1) values[i] = 0;  // a column in four
                                  }});
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* method : kNarrow) {
    // A quarter of the neurons is 98,304 of 589,824 weights.
    run(source, pruned(method, {"ratio=0.16667", "heads=0"}), temp.path / method);
    const Model cut = Model::open(temp.path / method);
    EXPECT_EQ(cut.config().ffn, 384) << method;
    EXPECT_LT(distance(before, logits_of(cut)), 1e-3) << method;
  }
}

TEST(Structured, FlapKeepsTheMeanOfWhatABlockGives) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const Recipe recipe = pruned("flap", {"ratio=0.4", "heads=0"});
  run(source, recipe, temp.path / "out");
  Recipe without = pruned("flap", {"ratio=0.4", "heads=0", "bias=false"});
  run(source, without, temp.path / "without");
  const Model model = Model::open(source);
  const CalibrationTokens tokens = calibration_tokens(model, *recipe.calibration);
  const auto wanted = mean_after_first(model, tokens), got = mean_after_first(Model::open(temp.path / "out"), tokens),
             left = mean_after_first(Model::open(temp.path / "without"), tokens);
  double worst = 0, plain = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    worst = std::max(worst, std::fabs(wanted[i] - got[i]));
    plain = std::max(plain, std::fabs(wanted[i] - left[i]));
  }
  EXPECT_LT(worst, 1e-5);
  EXPECT_GT(plain, 100 * worst);
}

TEST(Structured, ABlockThatDoesNothingGoesFirstAndIsNotMissed) {
  const TempFolder temp;
  const auto source = write_model(
      temp.path / "in", {.layers = 4, .edit = zeros_in({"layers.2.self_attn.o_proj", "layers.2.mlp.down_proj"})});
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* score : {"influence", "divergence"})
    for (const char* greedy : {"true", "false"}) {
      const auto out = temp.path / (std::string(score) + greedy);
      run(source, pruned("depth", {"layers=1", std::string("score=") + score, std::string("greedy=") + greedy}), out);
      const Model cut = Model::open(out);
      EXPECT_EQ(cut.config().layers, 3);
      EXPECT_EQ(before, logits_of(cut)) << score;
    }
}

// A stream that has values in 96 of its 128 channels only, so that a quarter of it carries nothing.
TEST(Structured, AxesThatCarryNothingAreCutOffForNothing) {
  const TempFolder temp;
  const auto narrow = [](const std::string& name, std::vector<float>& values) {
    const bool reads = name.find("embed") != name.npos;  // channels are its columns; of what writes the stream, rows
    const bool writes = name.find("o_proj") != name.npos || name.find("down_proj") != name.npos;
    const std::size_t cols = name.find("down_proj") != name.npos ? 256 : 128;
    for (std::size_t i = 0; i < values.size(); ++i)
      if ((reads && i % 128 >= 96) || (writes && i / cols >= 96)) values[i] = 0;
  };
  const auto source =
      write_model(temp.path / "in", {.layers = 3, .hidden = 128, .ffn = 256, .tied = false, .edit = narrow});
  const std::vector<float> before = logits_of(Model::open(source));
  const double size = distance(before, std::vector<float>(before.size(), 0.0f));
  for (const char* ratio : {"ratio=0", "ratio=0.25", "ratio=0.5"}) {
    const auto out = temp.path / ratio;
    run(source, pruned("slicegpt", {ratio}), out);
    const Model cut = Model::open(out);
    EXPECT_EQ(cut.config().hidden, ratio == std::string("ratio=0")      ? 128
                                   : ratio == std::string("ratio=0.25") ? 96
                                                                        : 64);
    EXPECT_EQ(cut.config().head_dim, 32);
    const double lost = distance(before, logits_of(cut)) / size;
    if (cut.config().hidden == 64)
      EXPECT_GT(lost, 0.05);
    else
      EXPECT_LT(lost, 1e-4) << ratio;  // f32 in another basis
  }
}

TEST(Structured, MinitronGivesTheShapeThatIsAsked) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4, .hidden = 128, .ffn = 256});
  run(source, pruned("minitron", {"hidden=96", "layers=3", "kv-heads=1", "neurons=160"}), temp.path / "out");
  const Config c = Model::open(temp.path / "out").config();
  EXPECT_EQ((std::vector<dim>{c.hidden, c.layers, c.heads, c.kv_heads, c.ffn, c.head_dim}),
            (std::vector<dim>{96, 3, 2, 1, 160, 32}));
}

// What is left are the source's own experts, in both containers, and the router's rows for them.
TEST(Structured, ExpertsThatAreLeftAreTheSources) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96, .experts = 4});
  run(source, pruned("experts", {"keep=4"}), temp.path / "all");
  EXPECT_EQ(logits_of(Model::open(source)), logits_of(Model::open(temp.path / "all")));
  run(source, pruned("experts", {"keep=2"}), temp.path / "out");
  run(source, pruned("experts", {"keep=2"}), temp.path / "out.gguf");
  const Model whole = Model::open(source), hf = Model::open(temp.path / "out"),
              gguf = Model::open(temp.path / "out.gguf");
  const auto row = [](const Model& m, Role role, dim layer, dim expert, dim r) {
    const ModelTensor& t = *m.find(role, layer, Part::weight, expert);
    std::vector<float> values(std::size_t(t.weight.cols));
    decode_row(t, r, values.data());
    return values;
  };
  for (const Model* m : {&hf, &gguf}) {
    EXPECT_EQ(m->config().experts, 2);
    for (dim layer = 0; layer < 2; ++layer)
      for (dim e = 0; e < 2; ++e) {
        dim from = 0;
        while (from < 4 && row(whole, Role::expert_down, layer, from, 5) != row(*m, Role::expert_down, layer, e, 5))
          ++from;
        ASSERT_LT(from, 4);
        EXPECT_EQ(row(whole, Role::router, layer, -1, from), row(*m, Role::router, layer, -1, e));
        EXPECT_EQ(row(whole, Role::expert_up, layer, from, 7), row(*m, Role::expert_up, layer, e, 7));
      }
  }
  EXPECT_EQ(logits_of(hf).size(), logits_of(whole).size());
  EXPECT_NE(error_of([&] { run(source, pruned("experts", {"keep=1"}), temp.path / "x"); }).find("2 (as many"),
            std::string::npos);
}

// A small real model: its tokenizer is cut with its embedding, in both containers.
TEST(Structured, AVocabularyIsCutWithItsTokenizer) {
  PITH_NEED_DATA(source, "models/stories260K/hf");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const TempFolder temp;
  Recipe recipe = pruned("vocabulary", {"tokens=400"});
  recipe.calibration = CalibrationChoice{.files = {text}, .samples = 16, .length = 64, .seed = 3};
  const Model whole = Model::open(source);
  run(source, recipe, temp.path / "out");
  run(source, recipe, temp.path / "out.gguf");
  const Model hf = Model::open(temp.path / "out"), gguf = Model::open(temp.path / "out.gguf");
  const std::string words = "Once upon a time, there was a little girl";
  const std::vector<Token> ids = hf.tokenizer().encode(words);
  EXPECT_EQ(gguf.tokenizer().encode(words), ids);
  EXPECT_EQ(hf.tokenizer().decode(ids), words);
  for (const Model* m : {&hf, &gguf}) {
    EXPECT_LE(m->config().vocab, 400);
    EXPECT_EQ(m->tokenizer().vocab_size(), m->config().vocab);
    EXPECT_EQ(m->tokenizer().piece(m->tokenizer().eos()), whole.tokenizer().piece(whole.tokenizer().eos()));
    std::multimap<std::string, Token> at;
    for (Token t = 0; t < Token(whole.config().vocab); ++t) at.emplace(whole.tokenizer().piece(t), t);
    for (Token t = 0; t < Token(m->config().vocab); ++t) {  // each row is that of a token that reads the same
      std::vector<float> now(64), then(64);
      decode_row(*m->find(Role::embed, -1), t, now.data());
      const auto [begin, end] = at.equal_range(m->tokenizer().piece(t));
      EXPECT_TRUE(std::any_of(begin, end, [&](const auto& old) {
        decode_row(*whole.find(Role::embed, -1), old.second, then.data());
        return now == then;
      })) << t;
    }
  }
}

TEST(Structured, StepsFollowOneAnotherAndRoundingIsLast) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4});
  Recipe recipe = pruned("gptq", {});
  recipe.steps.insert(recipe.steps.begin(), {{.method = "depth", .options = {"layers=1"}, .where = {}},
                                             {.method = "flap", .options = {"ratio=0.3", "heads=0"}, .where = {}}});
  recipe.format = &format_or_throw("q4_0");
  run(source, recipe, temp.path / "out.gguf");
  const Model out = Model::open(temp.path / "out.gguf");
  EXPECT_EQ(out.config().layers, 3);
  // 0.3 of 589,824 weights is 230 neurons, of 512; a multiple of 32.
  EXPECT_EQ(out.config().ffn, 288);
  EXPECT_EQ(out.find(Role::ffn_down, 2)->weight.format->name, "q4_0");
  EXPECT_EQ(out.find(Role::ffn_down, 2)->weight.cols, 288);
}

TEST(Structured, TooMuchIsRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4});
  const auto text = [&](const char* method, std::vector<std::string> options) {
    return error_of([&] { run(source, pruned(method, options), temp.path / "x"); });
  };
  EXPECT_NE(text("depth", {"layers=3"}).find("at most 2 blocks"), std::string::npos);
  EXPECT_NE(text("flap", {"heads=2"}).find("2 kv heads left, 2 were to go"), std::string::npos);
  EXPECT_NE(text("wanda_sp", {"ratio=0.9", "heads=0"}).find("takes out all 512"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(temp.path / "x"));
}

}  // namespace pith::test
