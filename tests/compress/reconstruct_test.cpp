// Methods that see whole blocks: their grids, their roundings, and what they leave of a small model.
#include <cmath>
#include <cstdio>

#include "compress/reconstruct/level_grid.h"
#include "core/half.h"
#include "core/rng.h"
#include "kernels/learned_rounding.h"
#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

const std::vector<const char*> kGridFormats = {"int2_g64",     "int4_g32",    "int3_row", "int4_g64_sym", "affine4_g32",
                                               "q4_0",         "q4_1",        "q5_0",     "q5_1",         "q8_0",
                                               "q2_k",         "q3_k",        "q4_k",     "q5_k",         "q6_k",
                                               "int2_g32_sym", "affine2_g64", "int8_g128"};

std::vector<float> normals(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = float(rng.normal()) * 0.1f;
  return v;
}

// The values of a row, and what its blocks decode to.
struct Row {
  const Format& format;
  std::vector<std::byte> bytes;
  Row(const Format& f, const std::vector<float>& x, RangeSearch search = {})
      : format(f), bytes(std::size_t(row_bytes(f, dim(x.size())))) {
    f.encode(f, x.data(), nullptr, dim(x.size()), search, bytes.data());
  }
  std::vector<float> decoded(dim n) const {
    std::vector<float> out(static_cast<std::size_t>(n));
    format.decode(format, bytes.data(), n, out.data());
    return out;
  }
};

}  // namespace

// Every decoded value lies on the grid between the ends, and the ends are what the end codes decode to.
TEST(LevelGrid, DecodedValuesLieOnTheGrid) {
  constexpr dim kCols = 512;
  const auto x = normals(kCols, 3);
  for (const char* name : kGridFormats) {
    const Format& f = format_or_throw(name);
    const auto grid = level_grid(f, kCols);
    ASSERT_TRUE(grid) << name;
    const Row row(f, x);
    std::vector<Ends> ends(std::size_t(kCols / grid->group));
    read_ends(*grid, row.bytes.data(), ends.data());
    const auto y = row.decoded(kCols);
    for (dim i = 0; i < kCols; ++i) {
      const Ends e = ends[std::size_t(i / grid->group)];
      ASSERT_LT(e.low, e.high) << name;
      const double level = (double(y[std::size_t(i)]) - double(e.low)) / (double(e.high) - double(e.low)) * grid->top;
      // f32 rounding of scale * code - min, in units of a step: up to 2^-23 of the ends' size
      ASSERT_NEAR(level, std::round(level), 1e-3) << name << ' ' << i;
      ASSERT_GE(std::round(level), 0) << name;
      ASSERT_LE(std::round(level), grid->top) << name;
    }
  }
}

// Where every group stores its own range, the stored ends come back to the bit.
TEST(LevelGrid, StoredEndsStay) {
  constexpr dim kCols = 512;
  const auto x = normals(kCols, 4);
  for (const char* name : {"int2_g64", "int4_g32", "int4_g64_sym", "q4_0", "q4_1", "q8_0", "affine4_g32"}) {
    const Format& f = format_or_throw(name);
    const auto grid = *level_grid(f, kCols);
    Row row(f, x);
    std::vector<Ends> before(std::size_t(kCols / grid.group)), after(before.size());
    read_ends(grid, row.bytes.data(), before.data());
    store_ends(grid, before.data(), row.bytes.data(), after.data());
    for (std::size_t g = 0; g < before.size(); ++g) {
      // of minimum kinds the ends are sums that f32 rounds
      ASSERT_NEAR(after[g].low, before[g].low, 1e-3 * std::fabs(before[g].low)) << name << ' ' << g;
      ASSERT_NEAR(after[g].high, before[g].high, 1e-3 * std::fabs(before[g].high)) << name << ' ' << g;
    }
  }
}

TEST(LevelGrid, KnowsWhatIsNoGrid) {
  for (const char* name : {"f16", "nf4_b64", "iq4_nl", "mxfp4", "iq2_xs", "kmeans4_row"})
    EXPECT_FALSE(level_grid(format_or_throw(name), 512)) << name;
  EXPECT_FALSE(level_grid(format_or_throw("q4_k"), 64));
}

// Codes 0 to 3 between -1 and 2: values 0.4 and 0.6 go to 0 and 1, 5 beyond the end to 2.
TEST(LearnedRounding, RoundsAndMoves) {
  const float w[] = {0.4f, 0.6f, 5.0f, -9.0f, 0.4f, 0.6f};
  float v[] = {0, 0, 0, 0, 0.2f, -0.2f}, out[6];
  const RoundingGroup group = {.w = w, .v = v, .n = 6, .low = -1, .step = 1, .top = 3};
  round_group(group, out);
  const float expected[] = {0, 1, 2, -1, 1, 0};
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(out[i], expected[i]) << i;

  // Inside, the step's slope is code - exact level: 1 - 1.4, 2 - 1.6, 2 - 1.4, 1 - 1.6.
  const float dout[] = {1, 10, 100, 1000, 2, -3};
  const RangeSlopes slopes = rounding_backward(group, dout, 0.1f);
  const float inner = (-0.4f * 1 + 0.4f * 10 + 0.6f * 2 + 0.6f * 3) / 3;
  EXPECT_NEAR(slopes.low, 1000 - inner, 1e-3);
  EXPECT_NEAR(slopes.high, 100 + inner, 1e-4);
  const float moved[] = {-0.1f, -0.1f, 0, 0, 0.1f, -0.1f};
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(v[i], moved[i]) << i;
  for (int k = 0; k < 9; ++k) rounding_backward(group, dout, 0.1f);
  EXPECT_FLOAT_EQ(v[0], -0.5f);  // and no farther
}

namespace {

Recipe reconstructing(const char* chain, std::string_view format, std::vector<std::string> options) {
  Recipe recipe;
  recipe.format = &format_or_throw(format);
  recipe.steps = steps_of(chain, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 6, .length = 24, .seed = 3};
  return recipe;
}

// Mean squared distance of the logits of two models on the calibration text of the first.
double distance(const std::filesystem::path& a, const std::filesystem::path& b, const Recipe& recipe) {
  const CalibrationTokens text = calibration_tokens(Model::open(a), *recipe.calibration);
  std::vector<float> logits[2];
  for (int k = 0; k < 2; ++k) {
    const Model model = Model::open(k == 0 ? a : b);
    Forward forward(model);
    KvCache cache(model.config(), 1, 64);
    for (const auto& sequence : text.sequences) {
      cache.clear();
      const Chunk chunk = {0, sequence, 0};
      forward.run(cache, {&chunk, 1}, [&](dim, const float* rows, dim n) {
        logits[k].insert(logits[k].end(), rows, rows + n * model.config().vocab);
      });
    }
  }
  double sum = 0;
  for (std::size_t i = 0; i < logits[0].size(); ++i)
    sum += (double(logits[0][i]) - double(logits[1][i])) * (double(logits[0][i]) - double(logits[1][i]));
  return sum / double(logits[0].size());
}

}  // namespace

TEST(Reconstruct, NoIterationsLeaveTheRounding) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  run(source, reconstructing("rtn", "q4_k", {}), temp.path / "rtn.gguf");
  for (const char* chain : {"autoround", "zeroquant", "norm_tweaking"}) {
    run(source, reconstructing(chain, "q4_k", {"iterations=0"}), temp.path / "none.gguf",
        {.max_ram_bytes = {}, .overwrite = true});
    EXPECT_EQ(read_file(temp.path / "none.gguf"), read_file(temp.path / "rtn.gguf")) << chain;
  }
}

// Codes stay, norms move, in GGUF and as bf16, and the distance that is learned on falls in each block.
TEST(Reconstruct, NormTweakingMovesNormsAlone) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.dtype = "BF16"});
  run(source, reconstructing("rtn", "q2_k", {}), temp.path / "rtn.gguf");
  const Outcome outcome =
      run(source, reconstructing("norm_tweaking", "q2_k", {"iterations=30", "rate=0.01"}), temp.path / "tweaked.gguf");
  const GgufFile before(temp.path / "rtn.gguf"), after(temp.path / "tweaked.gguf");
  EXPECT_EQ(gguf_values(before, "blk.0.attn_q.weight"), gguf_values(after, "blk.0.attn_q.weight"));
  EXPECT_EQ(gguf_values(before, "blk.0.ffn_down.weight"), gguf_values(after, "blk.0.ffn_down.weight"));
  EXPECT_EQ(gguf_values(before, "output_norm.weight"), gguf_values(after, "output_norm.weight"));
  for (const char* norm : {"blk.0.attn_norm.weight", "blk.1.ffn_norm.weight"}) {
    const auto a = gguf_values(before, norm), b = gguf_values(after, norm);
    EXPECT_NE(a, b);
    for (std::size_t c = 0; c < a.size(); ++c) EXPECT_NEAR(b[c], a[c], 0.31 * std::fabs(double(a[c])));  // 30 steps
  }
  int told = 0;
  for (const TensorOutcome& t : outcome.tensors) {
    double now = 0, was = 0;
    const auto at = t.note.find("block's output");
    if (at == t.note.npos) continue;
    ASSERT_EQ(std::sscanf(t.note.c_str() + at, "block's output %lf apart, before %lf", &now, &was), 2) << t.note;
    EXPECT_LT(now, was);
    ++told;
  }
  EXPECT_EQ(told, 2);
}

// With the ranges fixed a code moves by one step at most, and some do.
TEST(Reconstruct, CodesMoveByOneStepAtMost) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  for (const char* format : {"q4_0", "q2_k"}) {
    run(source, reconstructing("rtn", format, {}), temp.path / "rtn.gguf", {.max_ram_bytes = {}, .overwrite = true});
    run(source, reconstructing("autoround", format, {"iterations=20", "ranges=false"}), temp.path / "tuned.gguf",
        {.max_ram_bytes = {}, .overwrite = true});
    const GgufFile before(temp.path / "rtn.gguf"), after(temp.path / "tuned.gguf");
    dim moved = 0;
    for (const char* name : {"blk.0.attn_q.weight", "blk.0.ffn_down.weight"}) {
      const GgufTensor *a = before.find(name), *b = after.find(name);
      const Format& f = *format_of_gguf_type(a->type);
      const dim cols = a->shape[0], rows = a->shape[1], bytes = row_bytes(f, cols);
      const auto grid = *level_grid(f, cols);
      std::vector<Ends> ends(std::size_t(cols / grid.group)), tuned(ends.size());
      std::vector<float> x(static_cast<std::size_t>(cols)), y(x.size());
      for (dim r = 0; r < rows; ++r) {
        read_ends(grid, before.data(*a) + r * bytes, ends.data());
        read_ends(grid, after.data(*b) + r * bytes, tuned.data());
        f.decode(f, before.data(*a) + r * bytes, cols, x.data());
        f.decode(f, after.data(*b) + r * bytes, cols, y.data());
        for (dim c = 0; c < cols; ++c) {
          const Ends e = ends[std::size_t(c / grid.group)];
          ASSERT_EQ(e.low, tuned[std::size_t(c / grid.group)].low) << format;
          const double step = (double(e.high) - double(e.low)) / grid.top;
          const double by = std::fabs(double(x[std::size_t(c)]) - double(y[std::size_t(c)]));
          ASSERT_LE(by, step * 1.001) << format << ' ' << name;
          moved += by > step * 0.5;
        }
      }
    }
    EXPECT_GT(moved, 100) << format;
  }
}

TEST(Reconstruct, OutputsComeNearerToTheOriginal) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1, .ffn = 256});
  for (const char* format : {"q2_k", "q4_0"}) {
    const Recipe rtn = reconstructing("rtn", format, {});
    run(source, rtn, temp.path / "rtn.gguf", {.max_ram_bytes = {}, .overwrite = true});
    const double plain = distance(source, temp.path / "rtn.gguf", rtn);
    for (const char* chain : {"autoround", "rtn+omniquant", "zeroquant"}) {
      const Recipe recipe = reconstructing(chain, format, {"iterations=40", "batch=6"});
      run(source, recipe, temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
      EXPECT_LT(distance(source, temp.path / "out.gguf", recipe), plain) << chain << ' ' << format;
    }
  }
}

// What no even grid has can be distilled, too.
TEST(Reconstruct, DistillsAnyFormat) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1, .ffn = 256});
  const Recipe rtn = reconstructing("rtn", "iq2_xs", {});
  run(source, rtn, temp.path / "rtn.gguf");
  run(source, reconstructing("zeroquant", "iq2_xs", {"iterations=15", "batch=6"}), temp.path / "out.gguf");
  EXPECT_LT(distance(source, temp.path / "out.gguf", rtn), distance(source, temp.path / "rtn.gguf", rtn));
}

TEST(Reconstruct, SameFileForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.dtype = "BF16"});
  const int before = num_threads();
  std::vector<std::string> files;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    run(source, reconstructing("gptq+autoround+omniquant+zeroquant+norm_tweaking", "q3_k", {"iterations=4"}),
        temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
    files.push_back(read_file(temp.path / "out.gguf"));
  }
  set_num_threads(before);
  EXPECT_EQ(files[0], files[1]);
}

TEST(Reconstruct, RefusesWhatHasNoGradients) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.experts = 4});
  const std::string fault =
      error_of([&] { run(source, reconstructing("autoround", "q4_0", {}), temp.path / "out.gguf"); });
  EXPECT_NE(fault.find("without mixtures of experts"), std::string::npos) << fault;
}

TEST(Reconstruct, StandsAfterWhatRounds) {
  EXPECT_EQ(steps_of("awq+gptq+autoround", {}).size(), 3u);
  EXPECT_NE(
      error_of([] { steps_of("autoround+gptq", {}); }).find("expected a method that prepares the model before the +"),
      std::string::npos);
}

}  // namespace pith::test
