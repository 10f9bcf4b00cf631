// Orders of columns for N:M pruning, alone and through whole runs.
#include <algorithm>

#include "compress/prune/channel_groups.h"
#include "core/rng.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {
namespace {

constexpr GroupPattern kTwoOfFour{2, 4};

std::vector<dim> as_they_stand(dim n) {
  std::vector<dim> out;
  for (dim i = 0; i < n; ++i) out.push_back(i);
  return out;
}

// What two of four keep of a row when these columns are one group and all others the other.
double kept_of(const float* row, const std::vector<dim>& first) {
  std::vector<float> in, out;
  for (dim c = 0; c < 8; ++c) (std::count(first.begin(), first.end(), c) ? in : out).push_back(row[c]);
  std::sort(in.rbegin(), in.rend());
  std::sort(out.rbegin(), out.rend());
  return double(in[0]) + double(in[1]) + double(out[0]) + double(out[1]);
}

Recipe recipe_of(const char* method, std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of(method, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

// Of each eight columns of down and o the first four are five times as large, so that 2:4 would drop two of them.
GeneratedModel with_crowded_columns() {
  return {.layers = 2, .hidden = 128, .ffn = 256, .edit = [](const std::string& name, std::vector<float>& values) {
            if (name.find("down_proj") == name.npos && name.find("o_proj") == name.npos) return;
            for (std::size_t i = 0; i < values.size(); ++i)
              if (i % 8 < 4) values[i] *= 5;
          }};
}

}  // namespace

TEST(ChannelGroups, ColumnsThatMatterAreSpread) {
  const ColumnScores row{8, {9, 8, 7, 6, 1, 1, 1, 1}};
  EXPECT_EQ(kept_score(row, as_they_stand(8), kTwoOfFour), 9 + 8 + 1 + 1);
  for (const int rounds : {0, 8})
    EXPECT_EQ(kept_score(row, spread_columns(row, kTwoOfFour, rounds), kTwoOfFour), 9 + 8 + 7 + 6) << rounds;
  const ColumnScores well{8, {9, 8, 1, 1, 7, 6, 1, 1}};  // nothing to gain: they stay
  EXPECT_EQ(spread_columns(well, kTwoOfFour, 8), as_they_stand(8));
}

// Two rows that want different columns apart, where the sums of columns say nothing: only exchanges help.
TEST(ChannelGroups, ExchangesFindWhatSumsDoNotShow) {
  const ColumnScores rows{8, {5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5}};
  EXPECT_EQ(kept_score(rows, as_they_stand(8), kTwoOfFour), 20);
  EXPECT_EQ(kept_score(rows, spread_columns(rows, kTwoOfFour, 8), kTwoOfFour), 40);
}

// Against all 70 choices of a first group.
TEST(ChannelGroups, ComesNearTheBestOrder) {
  Rng rng(11);
  double got = 0, best = 0, plain = 0;
  for (int round = 0; round < 50; ++round) {
    ColumnScores s{8, {}};
    for (int i = 0; i < 5 * 8; ++i) s.values.push_back(float(std::exp(rng.normal())));
    const std::vector<dim> order = spread_columns(s, kTwoOfFour, 8);
    std::vector<dim> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(sorted, as_they_stand(8));
    const double now = kept_score(s, order, kTwoOfFour), before = kept_score(s, as_they_stand(8), kTwoOfFour);
    EXPECT_GE(now, before);
    std::string chosen = "11110000";
    double most = 0;
    do {
      std::vector<dim> group;
      for (dim c = 0; c < 8; ++c)
        if (chosen[std::size_t(c)] == '1') group.push_back(c);
      double sum = 0;
      for (dim r = 0; r < 5; ++r) sum += kept_of(s.values.data() + r * 8, group);
      most = std::max(most, sum);
    } while (std::prev_permutation(chosen.begin(), chosen.end()));
    EXPECT_LE(now, most * (1 + 1e-6));
    got += now, best += most, plain += before;
  }
  EXPECT_GT(got - plain, 0.8 * (best - plain));
}

TEST(Permute, TheModelStaysWhatItWas) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", with_crowded_columns());
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* to : {"out", "out.gguf"}) {
    const auto outcome = run(source, recipe_of("permute", {}), temp.path / to);
    const Model moved = Model::open(temp.path / to);
    EXPECT_LT(distance(before, logits_of(moved)), 1e-4 * length(before));
    EXPECT_TRUE(std::any_of(outcome.preflight.notes.begin(), outcome.preflight.notes.end(),
                            [](const std::string& n) { return n.find("neurons: 2:4 keeps") != n.npos; }));
  }
  EXPECT_NE(read_file(source / "model.safetensors"), read_file(temp.path / "out" / "model.safetensors"));
}

TEST(Permute, LessIsLostByAPattern) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", with_crowded_columns());
  const std::vector<float> before = logits_of(Model::open(source));
  for (const char* pruner : {"ria", "wanda", "sparsegpt"}) {
    std::vector<double> lost;
    for (const std::string& chain : {std::string(pruner), "permute+" + std::string(pruner)}) {
      Recipe recipe = recipe_of(chain.c_str(), {"pattern=2:4"});
      recipe.steps.back().where = parse_selection("attn_o|ffn_down");
      run(source, recipe, temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
      const Model pruned = Model::open(temp.path / "out.gguf");
      lost.push_back(distance(before, logits_of(pruned)));
      const ModelTensor& down = *pruned.find(Role::ffn_down, 1);
      std::vector<float> row(256);
      decode_row(down, 7, row.data());
      for (std::size_t g = 0; g < 256; g += 4) EXPECT_LE(4 - std::count(&row[g], &row[g] + 4, 0.0f), 2);
    }
    EXPECT_LT(lost[1], 0.9 * lost[0]) << pruner;
  }
}

TEST(Permute, SameBytesForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 128, .ffn = 96, .experts = 3});
  const int before = num_threads();
  std::vector<std::string> files;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    run(source, recipe_of("permute", {}), temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
    files.push_back(read_file(temp.path / "out.gguf"));
  }
  set_num_threads(before);
  EXPECT_EQ(files[0], files[1]);
}

TEST(Permute, WhatHasNoGroupsIsSaid) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1, .hidden = 128, .ffn = 256});
  EXPECT_NE(error_of([&] { run(source, recipe_of("permute", {"pattern=none"}), temp.path / "x"); }).find("N:M"),
            std::string::npos);
  const auto outcome = run(source, recipe_of("permute", {"pattern=1:3"}), temp.path / "three");
  EXPECT_TRUE(std::any_of(outcome.preflight.notes.begin(), outcome.preflight.notes.end(),
                          [](const std::string& n) { return n.find("neurons: kept in their order") != n.npos; }));
}

}  // namespace pith::test
