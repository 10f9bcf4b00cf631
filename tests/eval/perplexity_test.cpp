#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/kept_base.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr const char* kStories = "models/stories260K/stories260K-f32.gguf";
constexpr const char* kStoriesF16 = "models/stories260K/stories260K-f16.gguf";
constexpr const char* kText = "text/tinystories_30k.txt";

EvalOptions stories(dim windows) { return {.protocol = "stories-256", .max_windows = windows, .batch_tokens = 2048}; }

// The expected perplexities come from an independent implementation in double precision.
TEST(Perplexity, Stories260K) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const EvalResult got = evaluate(Model::open(path), test::read_file(text), stories(24));
  EXPECT_EQ(got.windows, 24);
  EXPECT_EQ(got.tokens_scored, 24 * 255);
  EXPECT_NEAR(got.nll.mean, 2.03196, 2e-5);
  EXPECT_NEAR(got.perplexity.mean, 7.6291, 2e-4);
  EXPECT_NEAR(got.bits_per_byte.mean, got.nll.mean / std::log(2.0) * double(got.tokens_scored) / double(got.bytes),
              1e-12);
}

TEST(Perplexity, BabyLlama) {
  PITH_NEED_DATA(path, "models/babyllama_tok105/babyllama_tok105-f32.gguf");
  PITH_NEED_DATA(text, kText);
  const EvalResult got = evaluate(Model::open(path), test::read_file(text), stories(24));
  EXPECT_NEAR(got.nll.mean, 1.15278, 2e-5);
  EXPECT_NEAR(got.perplexity.mean, 3.1670, 2e-4);
}

TEST(Perplexity, HuggingFaceFolderAndGgufAgree) {
  PITH_NEED_DATA(gguf, kStories);
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  PITH_NEED_DATA(text, kText);
  const Comparison got = compare(Model::open(folder), Model::open(gguf), test::read_file(text), stories(4));
  EXPECT_NEAR(got.model.nll.mean, got.divergence.base.nll.mean, 1e-5);
  EXPECT_LT(got.divergence.kl_max, 1e-6);
  EXPECT_EQ(got.divergence.top1_agreement.mean, 1.0);
}

TEST(Perplexity, WindowsAndPositionsSumToTheWhole) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(half, kStoriesF16);
  PITH_NEED_DATA(text, kText);
  const Comparison got = compare(Model::open(half), Model::open(path), test::read_file(text), stories(3));
  const EvalResult& r = got.model;
  ASSERT_EQ(r.by_window.size(), 3u);
  double windows = 0, positions = 0, kl = 0;
  for (const WindowScore& w : r.by_window) {
    EXPECT_EQ(w.tokens, 255);
    windows += w.nll;
  }
  dim tokens = 0;
  for (const PositionScore& p : r.by_position) {
    positions += p.nll * double(p.tokens);
    tokens += p.tokens;
  }
  EXPECT_EQ(r.by_position.size(), 32u);
  EXPECT_EQ(r.by_position[0].tokens, 3 * 7);  // the first of 8 places is only read
  EXPECT_EQ(tokens, r.tokens_scored);
  for (const double sum : got.divergence.kl_by_window) kl += sum;
  EXPECT_NEAR(windows / double(tokens), r.nll.mean, 1e-12);
  EXPECT_NEAR(positions / double(tokens), r.nll.mean, 1e-12);
  EXPECT_NEAR(kl / double(tokens), got.divergence.kl.mean, 1e-12);
}

TEST(Perplexity, SameNumbersForAnyNumberOfThreads) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const Model model = Model::open(path);
  const int before = num_threads();
  set_num_threads(1);
  const EvalResult one = evaluate(model, test::read_file(text), stories(4));
  set_num_threads(3);
  const EvalResult three = evaluate(model, test::read_file(text), stories(4));
  set_num_threads(before);
  EXPECT_EQ(one.nll.mean, three.nll.mean);
  EXPECT_EQ(one.nll.half_width, three.nll.half_width);
}

TEST(Perplexity, WindowsMayBeRunInParts) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const Model model = Model::open(path);
  EvalOptions options = stories(1);
  const double whole = evaluate(model, test::read_file(text), options).nll.mean;
  options.batch_tokens = 100;
  EXPECT_NEAR(evaluate(model, test::read_file(text), options).nll.mean, whole, 1e-5);
}

TEST(Perplexity, BitsPerByteScoreTheWholeText) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const std::string words = test::read_file(text).substr(0, 3000);
  const EvalResult got =
      evaluate(Model::open(path), words, {.protocol = "bpb", .max_windows = 0, .batch_tokens = 2048});
  EXPECT_EQ(got.bytes, 3000);
  EXPECT_EQ(got.tokens_dropped, 0);
  EXPECT_GT(got.bits_per_byte.mean, 0.7);
  EXPECT_LT(got.bits_per_byte.mean, 2.5);
}

// transformers in double precision on the first 3000 characters, with the loop of its guide to perplexity.
TEST(Perplexity, StridedWindowsSayWhatTransformersSays) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const std::string start = test::read_file(text).substr(0, 3000);
  const Model model = Model::open(path);
  EvalOptions options{.protocol = "strided", .context = 256};
  EXPECT_NEAR(evaluate(model, start, options).nll.mean, 1.8882562, 2e-5);
  options.context = 100;
  options.stride = 30;
  const EvalResult got = evaluate(model, start, options);
  EXPECT_NEAR(got.nll.mean, 1.8616589, 2e-5);
  EXPECT_EQ(got.tokens_scored, 1503);
  EXPECT_EQ(got.protocol, "strided (context 100, stride 30)");
}

// The same, with lm-evaluation-harness's get_rolling_token_windows and its figures of words and bytes.
TEST(Perplexity, RollingSaysWhatTheHarnessSays) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const std::string start = test::read_file(text).substr(0, 3000);
  const Model model = Model::open(path);
  const EvalResult whole = evaluate(model, start, {.protocol = "rolling"});  // the model's context: 512
  EXPECT_NEAR(whole.nll.mean, 1.9514847, 2e-5);
  EXPECT_EQ(whole.tokens_scored, 1475);
  EXPECT_EQ(whole.words, 590);
  EXPECT_EQ(whole.bytes, 3000);
  EXPECT_NEAR(whole.word_perplexity.mean, 131.4612, 0.01);
  EXPECT_NEAR(whole.byte_perplexity.mean, 2.6103387, 5e-5);
  EXPECT_NEAR(whole.bits_per_byte.mean, 1.3842370, 3e-5);
  const EvalResult parts = evaluate(model, start, {.protocol = "rolling", .context = 100});
  EXPECT_NEAR(parts.word_perplexity.mean, 94.122176, 0.01);
}

TEST(Perplexity, OneLongWindowByPosition) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const EvalResult got = evaluate(Model::open(path), test::read_file(text), {.protocol = "long"});
  EXPECT_EQ(got.windows, 1);
  EXPECT_EQ(got.tokens_scored, 511);
  ASSERT_EQ(got.by_position.size(), 32u);
  EXPECT_EQ(got.by_position[31].from, 496);
}

TEST(Perplexity, RefusesWhatCannotBeMeasured) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  EXPECT_THROW((void)evaluate(model, "too short", stories(0)), Error);
  EXPECT_THROW((void)evaluate(model, "", {.protocol = "bpb", .max_windows = 0, .batch_tokens = 2048}), Error);
  EXPECT_THROW((void)evaluate(model, "text", {.protocol = "none", .max_windows = 0, .batch_tokens = 2048}), Error);
  // trained for 512 tokens
  EXPECT_THROW(
      (void)evaluate(model, std::string(50000, 'a'), {.protocol = "gptq-2048", .max_windows = 0, .batch_tokens = 2048}),
      Error);
}

TEST(Divergence, AModelDivergesFromItselfByExactlyNothing) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const Model model = Model::open(path), again = Model::open(path);
  const Comparison got = compare(model, again, test::read_file(text), stories(4));
  EXPECT_EQ(got.divergence.kl.mean, 0.0);
  EXPECT_EQ(got.divergence.kl_max, 0.0);
  EXPECT_EQ(got.divergence.rms_delta_p.mean, 0.0);
  EXPECT_EQ(got.divergence.log_ppl_ratio.mean, 0.0);
  EXPECT_EQ(got.divergence.top1_agreement.mean, 1.0);
  EXPECT_EQ(got.divergence.top5_overlap.mean, 1.0);
  EXPECT_EQ(got.model.nll.mean, got.divergence.base.nll.mean);
  EXPECT_EQ(got.model.nll.mean, evaluate(model, test::read_file(text), stories(4)).nll.mean);
}

TEST(Divergence, IsTheSameWhereTheBaseIsRemembered) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(half, kStoriesF16);
  PITH_NEED_DATA(text_path, kText);
  const Model base = Model::open(path), other = Model::open(half);
  const std::string text = test::read_file(text_path);
  KeptBase kept;
  const auto expect_same = [&](const Model& model, const Model& against, dim windows) {
    const Comparison got = compare(model, against, text, stories(windows), no_progress(), &kept),
                     expected = compare(model, against, text, stories(windows));
    EXPECT_EQ(got.divergence.kl.mean, expected.divergence.kl.mean);
    EXPECT_EQ(got.divergence.kl_by_window, expected.divergence.kl_by_window);
    EXPECT_EQ(got.divergence.base.nll.mean, expected.divergence.base.nll.mean);
    EXPECT_EQ(got.model.nll.mean, expected.model.nll.mean);
    EXPECT_TRUE(kept.complete());
  };
  expect_same(other, base, 12);  // two steps of the text
  const float* first = kept.logits(0);
  expect_same(base, base, 12);
  EXPECT_EQ(kept.logits(0), first);  // the base was not run again
  expect_same(other, base, 3);
  expect_same(base, other, 3);
  KeptBase small(1000);
  const Comparison got = compare(other, base, text, stories(3), no_progress(), &small);
  EXPECT_FALSE(small.complete());
  EXPECT_EQ(got.divergence.kl.mean, compare(other, base, text, stories(3)).divergence.kl.mean);
}

TEST(Divergence, HalfPrecisionIsNear) {
  PITH_NEED_DATA(base, kStories);
  PITH_NEED_DATA(path, kStoriesF16);
  PITH_NEED_DATA(text, kText);
  const Comparison got = compare(Model::open(path), Model::open(base), test::read_file(text), stories(4));
  EXPECT_GT(got.divergence.kl.mean, 0.0);
  EXPECT_LT(got.divergence.kl.mean, 1e-4);
  EXPECT_LE(got.divergence.kl_median, got.divergence.kl_p90);
  EXPECT_LE(got.divergence.kl_p90, got.divergence.kl_p99);
  EXPECT_LE(got.divergence.kl_p99, got.divergence.kl_max);
  EXPECT_LE(got.divergence.kl_p99, got.divergence.kl_p999);
  EXPECT_GT(got.divergence.top1_agreement.mean, 0.98);
  EXPECT_GT(got.divergence.top10_overlap.mean, 0.98);
  EXPECT_LT(got.divergence.top10_overlap.mean, 1);
  EXPECT_NEAR(got.divergence.log_ppl_ratio.mean, got.model.nll.mean - got.divergence.base.nll.mean, 1e-12);
}

TEST(Divergence, OtherTokenizersAreRefused) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(other, "models/babyllama_tok105/babyllama_tok105-f32.gguf");
  PITH_NEED_DATA(text, kText);
  EXPECT_THROW((void)compare(Model::open(other), Model::open(path), test::read_file(text), stories(4)), Error);
}

}  // namespace
}  // namespace pith
