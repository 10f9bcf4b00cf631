// Models whose matrices are products: made, written, opened, multiplied out, rounded, trained.
#include <fstream>
#include <map>

#include "compress/calibrate/probe.h"
#include "compress/method.h"
#include "model/backward/model_backward.h"
#include "model/block_forward.h"
#include "model/factored.h"
#include "model/fast_network.h"
#include "model/surgery/values.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"
#include "tests/compress/run_as.h"
#include "tests/train/next_token_gradients.h"

namespace pith::test {

namespace {

Recipe factored(const char* chain, std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of(chain, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

constexpr const char* kMethods[] = {"svd", "fwsvd", "asvd", "svd_llm", "lord"};

}  // namespace

TEST(Factorize, FilesAreSmallerAndSayTheSameMultipliedOut) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});  // hidden 256, kv width 128, 512 neurons
  for (const char* method : kMethods) {
    const Recipe recipe = factored(method, {"ratio=0.5"});
    const auto own = temp.path / method;
    run_as(Container::pith, source, recipe, own);
    const Model model = Model::open(own);
    // Half of 256 x 256 over 512: 64 directions; of 128 x 256 over 384: 42.7, to the nearest multiple of 32.
    for (const auto& [role, rows, rank, cols] : {std::tuple<Role, dim, dim, dim>{Role::attn_q, 256, 64, 256},
                                                 {Role::attn_k, 128, 32, 256},
                                                 {Role::ffn_up, 512, 96, 256},
                                                 {Role::ffn_down, 256, 96, 512}}) {
      const ModelTensor& outer = *model.find(role, 1);
      const ModelTensor* inner = model.inner_of(outer);
      ASSERT_TRUE(inner) << method;
      EXPECT_EQ(outer.shape, (std::vector<dim>{rows, rank})) << method;
      EXPECT_EQ(inner->shape, (std::vector<dim>{rank, cols})) << method;
    }
    EXPECT_LT(std::filesystem::file_size(own / "model.safetensors"),
              std::filesystem::file_size(source / "model.safetensors") * 6 / 10);
    const std::vector<float> said = logits_of(model);
    for (const char* name : {"merged", "merged.gguf"}) {
      Recipe as_it_is;
      run_as(std::string(name).ends_with("gguf") ? Container::gguf : Container::hf, own, as_it_is, temp.path / name,
             {.max_ram_bytes = {}, .overwrite = true});
      const Model merged = Model::open(temp.path / name);
      EXPECT_FALSE(is_factored(merged));
      EXPECT_EQ(merged.find(Role::attn_k, 0)->shape.back(), 256);
      EXPECT_LT(distance(said, logits_of(merged)), 1e-3 * length(said)) << method << " " << name;
    }
  }
}

// Matrices of rank 32 lose nothing at that rank, but for what rounding in between takes.
TEST(Factorize, WhatIsOfLowRankIsKept) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.edit = [](const std::string& name, std::vector<float>& values) {
                                    if (name.find("_proj") == name.npos) return;
                                    const std::size_t cols = name.find("down") == name.npos ? 256 : 512;
                                    // Rows after the first 32 are sums of two of those.
                                    for (std::size_t i = 32 * cols; i < values.size(); ++i) {
                                      const std::size_t r = i / cols, c = i % cols;
                                      values[i] =
                                          0.7f * values[r % 32 * cols + c] - 0.4f * values[(r / 7) % 32 * cols + c];
                                    }
                                  }});
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* method : kMethods) {
    run_as(Container::pith, source, factored(method, {"ratio=0.75"}), temp.path / method);
    const Model out = Model::open(temp.path / method);
    EXPECT_EQ(out.find(Role::attn_q, 0)->weight.cols, 32) << method;
    EXPECT_LT(distance(before, logits_of(out)), 2e-3 * length(before)) << method;
  }
}

TEST(Factorize, FactorsAreRoundedPrunedAndRunFast) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  run_as(Container::pith, source, factored("svd_llm", {"ratio=0.4"}), temp.path / "plain");
  const Model plain = Model::open(temp.path / "plain");
  const std::vector<float> said = logits_of(plain);
  double last = 0;
  for (const char* format : {"q8_0", "int4_g32"}) {
    Recipe recipe = factored("svd_llm+gptq", {"ratio=0.4"});
    recipe.format = &format_or_throw(format);
    const Outcome outcome = run_as(Container::pith, source, recipe, temp.path / format);
    const Model out = Model::open(temp.path / format);
    for (const Role role : {Role::attn_v, Role::ffn_down})
      for (const ModelTensor* t : {out.find(role, 1), out.inner_of(*out.find(role, 1))})
        EXPECT_EQ(t->weight.format->name, format);
    for (const TensorOutcome& t : outcome.tensors) {
      if (!is_linear(t.role)) continue;
      EXPECT_EQ(t.tokens, 4 * 24) << t.name;  // both factors saw the text
    }
    const double off = distance(said, logits_of(out));
    EXPECT_GT(off, last);
    EXPECT_LT(off, 0.5 * length(said));
    last = off;
    const FastNetwork fast(out);
    EXPECT_GT(fast.panel_bytes(), 0);
    Forward forward(fast.network());
    KvCache cache(out.config(), 1, 16);
    const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
    const std::span<const float> quick = forward.next(cache, tokens);
    const std::vector<float> slow = logits_of(out);
    // Inputs of panels are rounded to 8 bits, twice in a factored layer.
    const std::vector<float> tail(slow.end() - dim(quick.size()), slow.end());
    EXPECT_LT(distance({quick.begin(), quick.end()}, tail), 0.1 * length(tail)) << format;
  }
  Recipe pruned = factored("svd_llm+wanda", {"ratio=0.4"});
  give_options(pruned.steps, {"sparsity=50"});
  pruned.store = SparseLayout::bitmask;
  pruned.format = &format_or_throw("f16");
  run_as(Container::pith, source, pruned, temp.path / "pruned");
  const Model thin = Model::open(temp.path / "pruned");
  const std::vector<float> kept = decoded(*thin.find(Role::attn_q, 0));
  EXPECT_EQ(std::count(kept.begin(), kept.end(), 0.0f), dim(kept.size()) / 2);
  EXPECT_TRUE(thin.inner_of(*thin.find(Role::attn_q, 0))->sparse);
}

TEST(Factorize, SameBytesForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 128, .ffn = 256});
  const int before = num_threads();
  for (const char* allocation : {"uniform", "global", "sensitivity"}) {
    std::vector<std::string> files;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      run_as(Container::pith, source,
             factored("svd_llm", {"ratio=0.3", "multiple=8", std::string("allocation=") + allocation}),
             temp.path / "out", {.max_ram_bytes = {}, .overwrite = true});
      files.push_back(read_file(temp.path / "out" / "model.safetensors"));
    }
    EXPECT_EQ(files[0], files[1]) << allocation;
  }
  set_num_threads(before);
}

TEST(Factorize, AllocationsKeepToTheRatio) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4, .hidden = 128, .ffn = 256});
  for (const char* allocation : {"global", "sensitivity"}) {
    run_as(Container::pith, source,
           factored("svd_llm", {"ratio=0.3", "multiple=4", std::string("allocation=") + allocation}), temp.path / "out",
           {.max_ram_bytes = {}, .overwrite = true});
    const Model out = Model::open(temp.path / "out");
    dim values = 0;
    for (const ModelTensor& t : out.tensors())
      if (is_linear_matrix(t)) values += t.weight.rows * t.weight.cols;
    // 4 x (2 x 128 x 128 + 2 x 64 x 128 + 3 x 256 x 128) = 589,824
    EXPECT_LE(values, 589824 * 7 / 10) << allocation;
    EXPECT_GT(values, 589824 * 6 / 10) << allocation;
  }
}

// What factors lose of the mean of a matrix's outputs, the bias of lord restores.
TEST(Factorize, LordKeepsTheMeanOfOutputs) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1});
  const Model before = Model::open(source);
  const CalibrationTokens tokens = calibration_tokens(before, {.files = {}, .samples = 4, .length = 24, .seed = 3});
  struct Means : LinearObserver {
    std::map<Role, std::vector<double>> of;
    void linear_input(Role, dim, const float*, dim, dim) override {}
    void linear_output(Role role, dim, const float* y, dim rows, dim cols) override {
      of[role].resize(std::size_t(cols));
      for (dim i = 0; i < rows * cols; ++i) of[role][std::size_t(i % cols)] += double(y[i]);
    }
  };
  const auto means = [&](const Model& model) {
    Means out;
    BlockForward forward(Network::of(model), 64);
    for (const auto& s : tokens.sequences) {
      std::vector<float> x(s.size() * 256);
      forward.embed(s, x.data());
      forward.run(0, x.data(), dim(s.size()), &out);
    }
    return out.of[Role::attn_v];
  };
  const auto off = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(a[i] - b[i], 2);
    return std::sqrt(sum);
  };
  const std::vector<double> was = means(before);
  run_as(Container::pith, source, factored("lord", {"ratio=0.7"}), temp.path / "lord");
  run_as(Container::pith, source, factored("svd", {"ratio=0.7"}), temp.path / "svd");
  EXPECT_LT(off(was, means(Model::open(temp.path / "lord"))), 1e-3 * off(was, std::vector<double>(was.size())));
  EXPECT_GT(off(was, means(Model::open(temp.path / "svd"))), 0.1 * off(was, std::vector<double>(was.size())));
}

TEST(Factorize, LaserCutsWhereTheLossFalls) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 64, .ffn = 128});
  const Recipe recipe = factored("laser", {"margin=0", "where=*", "tokens=16", "multiple=8"});
  run_as(Container::pith, source, recipe, temp.path / "out");
  const Model before = Model::open(source), after = Model::open(temp.path / "out");
  EXPECT_TRUE(is_factored(after));
  CalibrationTokens tokens = calibration_tokens(before, *recipe.calibration);
  tokens.sequences.resize(1);
  Probe probe(before, tokens, 16);
  EXPECT_LT(probe.measure(Network::of(after)).nll, probe.measure(Network::of(before)).nll);
}

TEST(Factorize, DamagedFactorsAreRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1});
  run_as(Container::pith, source, factored("svd", {"ratio=0.5"}), temp.path / "good");
  const auto fault_after = [&](const std::string& from, const std::string& to) {
    std::filesystem::remove_all(temp.path / "bad");
    std::filesystem::copy(temp.path / "good", temp.path / "bad");
    std::string bytes = read_file(temp.path / "bad" / "model.safetensors");
    const std::size_t at = bytes.find(from);
    EXPECT_NE(at, bytes.npos) << from;
    bytes.replace(at, from.size(), to);
    std::ofstream(temp.path / "bad" / "model.safetensors", std::ios::binary) << bytes;
    return error_of([&] { (void)Model::open(temp.path / "bad"); });
  };
  const std::string alone = fault_after("q_proj.inner.weight", "q_proj.innex.weight");
  EXPECT_NE(alone.find("expected shape [256, 256], found [256, 64]"), alone.npos) << alone;
  const std::string lonely = fault_after("q_proj.weight", "q_prox.weight");
  EXPECT_NE(lonely.find("q_proj.weight"), lonely.npos) << lonely;
  EXPECT_NE(lonely.find("missing"), lonely.npos) << lonely;
}

TEST(Factorize, WhatCannotBeIsRefused) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const Model model = Model::open(source);
  const auto fault = [&](const Recipe& recipe) {
    return error_of([&] { compress(model, recipe, Container::pith, temp.path / "out", {}); });
  };
  EXPECT_NE(fault(factored("svd", {"ratio=0"})).find("take less than their matrices"), std::string::npos);
  EXPECT_NE(fault(factored("svd", {"where=attn_q@7"})).find("none is chosen"), std::string::npos);
  EXPECT_NE(fault(factored("svd+svd_llm", {"ratio=0.5"})).find("factored already"), std::string::npos);
  const std::string cut = fault(factored("svd+slicegpt", {"ratio=0.5"}));
  EXPECT_NE(cut.find("got factored matrices"), std::string::npos) << cut;
  Recipe turned = factored("svd+quip", {"ratio=0.5"});
  turned.format = &format_or_throw("int4_g32");
  EXPECT_NE(fault(turned).find("not factored"), std::string::npos);
}

// The chain rule by hand: of y = B A x, dB = dW A^T and dA = B^T dW, with dW of the product.
TEST(Factorize, GradientsOfFactorsFollowFromThatOfTheProduct) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 64, .ffn = 96});
  run_as(Container::pith, source, factored("svd", {"ratio=0.5", "multiple=8"}), temp.path / "f");
  const Model model = Model::open(temp.path / "f"), merged = merged_model(model);
  const std::vector<std::vector<Token>> text = {{5, 17, 3, 80, 41, 9, 22}};
  for (const Role role : {Role::attn_v, Role::ffn_down}) {
    const ModelTensor &outer = *model.find(role, 0), &inner = *model.inner_of(outer);
    const auto rows = std::size_t(outer.weight.rows), rank = std::size_t(outer.weight.cols),
               cols = std::size_t(inner.weight.cols);
    std::vector<float> dw(rows * cols), db(rows * rank), da(rank * cols);
    const auto run_with = [&](const Model& m, float* weight, float* of_inner) {
      ModelBackward backward(Network::of(m), 8, 1);
      backward.run(
          text, {},
          [&](dim layer) {
            BlockGradients out;
            if (layer == 0) {
              find_gradient(out, role)->weight = weight;
              find_gradient(out, role)->inner = of_inner;
            }
            return out;
          },
          [](dim) {});
    };
    run_with(merged, dw.data(), nullptr);
    run_with(model, db.data(), da.data());
    const std::vector<float> b = decoded(outer), a = decoded(inner);
    std::vector<float> db_by_hand(db.size()), da_by_hand(da.size());
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < rank; ++k)
        for (std::size_t c = 0; c < cols; ++c) {
          db_by_hand[r * rank + k] += dw[r * cols + c] * a[k * cols + c];
          da_by_hand[k * cols + c] += b[r * rank + k] * dw[r * cols + c];
        }
    // Both are float32 sums in another order.
    EXPECT_GT(length(db), 0);
    EXPECT_LT(distance(db, db_by_hand), 1e-3 * length(db)) << role_name(role);
    EXPECT_LT(distance(da, da_by_hand), 1e-3 * length(da)) << role_name(role);
  }
}

// Queries, keys and values stacked are 512 x 256, gates and ups 1024 x 256: half of them are 85.3 and 102.4 directions.
TEST(Factorize, JointFactorsShareTheInnerOne) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});  // hidden 256, kv width 128, 512 neurons
  run_as(Container::pith, source, factored("svd_llm", {"ratio=0.5", "joint=true", "multiple=1"}), temp.path / "own");
  const Model model = Model::open(temp.path / "own");
  const ModelTensor &q = *model.find(Role::attn_q, 1), &k = *model.find(Role::attn_k, 1),
                    &v = *model.find(Role::attn_v, 1), &gate = *model.find(Role::ffn_gate, 0),
                    &up = *model.find(Role::ffn_up, 0);
  EXPECT_EQ(q.shape, (std::vector<dim>{256, 85}));
  EXPECT_EQ(k.shape, (std::vector<dim>{128, 85}));
  EXPECT_EQ(up.shape, (std::vector<dim>{512, 102}));
  ASSERT_TRUE(model.inner_of(v));
  EXPECT_EQ(model.inner_of(v)->shape, (std::vector<dim>{85, 256}));
  EXPECT_EQ(model.inner_of(q), model.inner_of(v));
  EXPECT_EQ(model.inner_of(k), model.inner_of(v));
  EXPECT_EQ(model.inner_of(gate), model.inner_of(up));
  EXPECT_EQ(std::count_if(model.tensors().begin(), model.tensors().end(),
                          [](const ModelTensor& t) { return t.part == Part::inner; }),
            2 * 4);  // of two layers: q k v, o, gate up, down
  const std::vector<float> said = logits_of(model);
  run_as(Container::gguf, temp.path / "own", {}, temp.path / "merged.gguf");
  EXPECT_LT(distance(said, logits_of(Model::open(temp.path / "merged.gguf"))), 1e-3 * length(said));
}

// One basis for all that reads an input takes less than one each, at the same rank: so it can keep more. Where the
// matrices have one row space it loses nothing.
TEST(Factorize, JointFactorsOfOneRowSpaceLoseNothing) {
  const TempFolder temp;
  const auto source = write_model(
      temp.path / "in", {.edit = [](const std::string& name, std::vector<float>& values) {
        if (name.find("q_proj") == name.npos && name.find("k_proj") == name.npos && name.find("v_proj") == name.npos)
          return;
        // Sums of 16 waves, the same in all three.
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0;
        for (std::size_t w = 0; w < 16; ++w)
          for (std::size_t i = 0; i < values.size(); ++i)
            values[i] += 0.02f * std::sin(float(name.size() + 7 * w) * float(i / 256 + 1)) *
                         std::cos(0.37f * float(w + 1) * float(i % 256));
      }});
  const std::vector<float> before = logits_of(Model::open(source));
  run_as(Container::pith, source,
         factored("svd", {"ratio=0.9", "joint=true", "multiple=17", "where=attn_q|attn_k|attn_v"}), temp.path / "out");
  const Model out = Model::open(temp.path / "out");
  EXPECT_EQ(out.find(Role::attn_q, 0)->shape, (std::vector<dim>{256, 17}));
  EXPECT_LT(distance(before, logits_of(out)), 2e-3 * length(before));
}

TEST(Factorize, KeysAndValuesOfOneFactorAreCachedAsWhatItGives) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  run_as(Container::pith, source, factored("svd", {"ratio=0.4", "joint=true", "where=attn_k|attn_v"}),
         temp.path / "kv");
  const Model out = Model::open(temp.path / "kv");
  const dim rank = out.find(Role::attn_v, 0)->shape[1];
  ASSERT_EQ(out.config().kv_latent, std::vector<dim>(std::size_t(out.config().layers), rank));
  const std::vector<float> said = logits_of(out);
  Forward forward(out);
  KvCache cache(out.config(), 1, 16, KvSpec("latent"));
  const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
  const std::span<const float> now = forward.next(cache, tokens);
  const std::vector<float> tail(said.end() - dim(now.size()), said.end());
  EXPECT_LT(distance({now.begin(), now.end()}, tail), 5e-3 * length(tail));
  // What an output asks for when it runs, it must be able to do.
  Recipe latent = factored("svd", {"ratio=0.4", "joint=true", "where=attn_k|attn_v"});
  latent.kv = KvSpec("latent:bits=8");
  run_as(Container::pith, source, latent, temp.path / "asks");
  EXPECT_EQ(Model::open(temp.path / "asks").run_time().kv.text(), "latent:bits=8");
  EXPECT_THROW(run_as(Container::gguf, source, latent, temp.path / "asks.gguf"), Error);
  run_as(Container::gguf, temp.path / "asks", Recipe(), temp.path / "merged.gguf");
  EXPECT_EQ(Model::open(temp.path / "merged.gguf").run_time().kv.text(), "f32");
  // One block that is not so, and there is nothing of which all could be made.
  run_as(Container::pith, source, factored("svd", {"ratio=0.4", "joint=true", "where=attn_k|attn_v@1"}),
         temp.path / "one");
  EXPECT_TRUE(Model::open(temp.path / "one").config().kv_latent.empty());
  run_as(Container::pith, source, factored("svd", {"ratio=0.4", "where=attn_k|attn_v"}), temp.path / "two");
  EXPECT_TRUE(Model::open(temp.path / "two").config().kv_latent.empty());
}

TEST(Factorize, JointFactorsAreRoundedAndRunFast) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  Recipe recipe = factored("svd_llm+gptq", {"ratio=0.4", "joint=true"});
  recipe.format = &format_or_throw("q8_0");
  run_as(Container::pith, source, recipe, temp.path / "out");
  const Model out = Model::open(temp.path / "out");
  EXPECT_EQ(out.inner_of(*out.find(Role::attn_q, 1))->weight.format->name, "q8_0");
  const std::vector<float> slow = logits_of(out);
  const FastNetwork fast(out);
  const Block& block = fast.network().blocks[0];
  ASSERT_TRUE(block.q.inner_panels);
  EXPECT_EQ(block.q.inner_panels, block.v.inner_panels);
  Forward forward(fast.network());
  KvCache cache(out.config(), 1, 16);
  const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
  const std::span<const float> quick = forward.next(cache, tokens);
  const std::vector<float> tail(slow.end() - dim(quick.size()), slow.end());
  EXPECT_LT(distance({quick.begin(), quick.end()}, tail), 0.1 * length(tail));
  // Formats under a budget, too, weigh the shared factor by all that read it.
  run_as(Container::pith, source, factored("svd_llm", {"ratio=0.4", "joint=true"}), temp.path / "plain");
  Recipe budget = factored("gptq", {});
  budget.max_bytes = dim(std::filesystem::file_size(temp.path / "plain" / "model.safetensors")) / 5;
  run_as(Container::pith, temp.path / "plain", budget, temp.path / "small");
  EXPECT_LT(dim(std::filesystem::file_size(temp.path / "small" / "model.safetensors")), *budget.max_bytes);
}

// All that read the shared factor add to its gradient: dA = sum of B^T dW.
TEST(Factorize, TrainingMovesTheSharedFactorByAllThatReadIt) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 64, .ffn = 96});
  run_as(Container::pith, source, factored("svd", {"ratio=0.5", "multiple=8", "joint=true"}), temp.path / "f");
  const Model model = Model::open(temp.path / "f"), merged = merged_model(model);
  const std::vector<std::vector<Token>> text = {{5, 17, 3, 80, 41, 9, 22}};
  std::map<Role, std::vector<float>> dw;
  std::vector<float> by_hand;
  {
    for (const Role role : {Role::ffn_gate, Role::ffn_up}) dw[role].resize(96 * 64);
    ModelBackward backward(Network::of(merged), 8, 1);
    backward.run(
        text, {},
        [&](dim layer) {
          BlockGradients out;
          if (layer == 0)
            for (auto& [role, values] : dw) find_gradient(out, role)->weight = values.data();
          return out;
        },
        [](dim) {});
    for (const auto& [role, values] : dw) {
      const ModelTensor& outer = *model.find(role, 0);
      const std::vector<float> b = decoded(outer);
      const auto rank = std::size_t(outer.weight.cols);
      by_hand.resize(rank * 64);
      for (std::size_t r = 0; r < 96; ++r)
        for (std::size_t k = 0; k < rank; ++k)
          for (std::size_t c = 0; c < 64; ++c) by_hand[k * 64 + c] += b[r * rank + k] * values[r * 64 + c];
    }
  }
  Trainable trainable(model, {.what = TrainWhat::full, .bf16 = false});
  test::next_token_gradients(trainable, text);
  bool found = false;
  for (const Parameter& p : trainable.parameters()) {
    const ModelTensor& t = model.tensors()[p.tensor];
    if (t.part != Part::inner || t.role != Role::ffn_up || t.layer != 0) continue;
    found = true;
    const std::vector<float> da(p.gradient.as<float>(), p.gradient.as<float>() + p.size());
    EXPECT_GT(length(da), 0);
    EXPECT_LT(distance(da, by_hand), 1e-3 * length(da));
  }
  EXPECT_TRUE(found);
}

}  // namespace pith::test
