// Corrections of low rank, and the adapters they are written as.
#include "compress/lowrank/recover.h"
#include "compress/lowrank/weighted_low_rank.h"
#include "model/exchange/lora.h"
#include "tests/compress/feedback_support.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

std::vector<float> times(const LowRank& low, dim rows, dim cols) {
  std::vector<float> out(std::size_t(rows * cols));
  for (dim r = 0; r < rows; ++r)
    for (dim k = 0; k < low.rank; ++k)
      for (dim c = 0; c < cols; ++c)
        out[std::size_t(r * cols + c)] += low.b[std::size_t(r * low.rank + k)] * low.a[std::size_t(k * cols + c)];
  return out;
}

}  // namespace

TEST(Lorc, WholeRankIsExact) {
  for (const auto& [rows, cols] : {std::pair<dim, dim>{24, 40}, {40, 24}}) {
    const auto e = normals(rows * cols, 1), x = correlated_inputs(500, cols, 2);
    const SecondMoment h = moment_of(x, cols);
    const LowRank low = weighted_low_rank(e.data(), rows, cols, &h, 100);
    EXPECT_EQ(low.rank, 24);
    const auto back = times(low, rows, cols);
    for (std::size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(back[i], e[i], 2e-5f) << i;
  }
}

TEST(Lorc, DamageFallsWithTheRankAndIsWhatItSays) {
  const dim rows = 30, cols = 48;
  const auto e = normals(rows * cols, 3), x = correlated_inputs(500, cols, 4);
  auto h = moments(x, cols);
  const SecondMoment m = moment_of(x, cols);
  double mean = 0;
  for (dim i = 0; i < cols; ++i) mean += h[std::size_t(i * cols + i)] / double(cols);
  for (dim i = 0; i < cols; ++i) h[std::size_t(i * cols + i)] += 0.01 * mean;  // as it damps them
  double last = damage(e, std::vector<float>(e.size()), h, cols);
  for (const dim rank : {1, 2, 4, 8, 16, 29}) {
    const LowRank low = weighted_low_rank(e.data(), rows, cols, &m, rank);
    const double now = damage(e, times(low, rows, cols), h, cols);
    EXPECT_LT(now, last) << rank;
    EXPECT_NEAR(low.after, now, 1e-3 * now) << rank;  // products are summed in float32 here
    last = now;
  }
}

// A matrix of rank 2 by hand, and weights that make one of two equal directions the one to keep.
TEST(Lorc, WeighsByTheInputs) {
  std::vector<float> e(16, 0.0f);
  e[0] = 1, e[5] = 1;  // rows 0 and 1, columns 0 and 1
  std::vector<float> x(4 * 4, 0.0f);
  x[0] = 1, x[5] = 10, x[10] = 1, x[15] = 1;
  const SecondMoment m = moment_of(x, 4);
  const auto back = times(weighted_low_rank(e.data(), 4, 4, &m, 1), 4, 4);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(back[i], i == 5 ? 1 : 0, 1e-6) << i;
}

// The adapter of whole rank gives the original back, whatever the containers.
TEST(Lorc, AdaptersGiveTheOriginalBack) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  const Model original = Model::open(source);
  run(source, recipe_for("q4_0"), temp.path / "m.gguf");
  run(source, recipe_for("int4_g32"), temp.path / "m");
  for (const char* name : {"m.gguf", "m"}) {
    const Model compressed = Model::open(temp.path / name);
    const Recovered found = recover(original, compressed, 64, {.files = {}, .samples = 3, .length = 16, .seed = 1});
    EXPECT_EQ(found.parts.size(), 14u);
    EXPECT_LT(found.after, 1e-6 * found.before);
    const auto at = temp.path / (std::string("adapter-") + name);
    const auto files = adapter_files(compressed, found.parts);
    if (!compressed.is_gguf()) std::filesystem::create_directories(at);
    for (const AdapterFile& file : files)
      std::ofstream(file.name.empty() ? at : at / file.name, std::ios::binary) << file.bytes;
    const LoraAdapter adapter = LoraAdapter::open(at, compressed);
    EXPECT_EQ(adapter.size(), 14u);
    const std::size_t q = std::size_t(compressed.find(Role::attn_q, 1) - compressed.tensors().data());
    std::vector<float> row(64), expected(64);
    for (const dim r : {0, 1, 17, 63}) {
      decode_row(compressed.tensors()[q], r, row.data());
      adapter.apply(q, r, row.data());
      // Heads of 16; in GGUF rows 2 j and 2 j + 1 of a head are j and j + 8.
      const dim from = compressed.is_gguf() ? r / 16 * 16 + r % 16 / 2 + r % 2 * 8 : r;
      decode_row(*original.find(Role::attn_q, 1), from, expected.data());
      // Each of 64 products of factors below 1/4 in float16.
      for (std::size_t c = 0; c < 64; ++c) ASSERT_NEAR(row[c], expected[c], 2e-4) << name << r << " " << c;
    }
  }
}

}  // namespace pith::test
