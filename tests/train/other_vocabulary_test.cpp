// Teachers of another vocabulary.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
#include "train/alignment.h"
#include "train/distill.h"
#include "train/trainer.h"

namespace pith {
namespace {

double one_row(const SortedLoss& loss, std::vector<float>& z, const std::vector<float>& teacher, Token target = 0,
               double weight = 1) {
  const float* row = teacher.data();
  return sorted_rows(loss, {z.data(), 1, dim(z.size()), std::span(&target, 1), weight}, {&row, 1}, dim(teacher.size()));
}

TEST(SortedRows, ByHand) {
  // q = (1/2, 1/4, 1/4); p = (1/8, 7/8): by rank 7/8 - 1/2, 1/4 - 1/8, 1/4.
  const std::vector<float> teacher = {0, std::log(7.0f)};
  std::vector<float> z = {0, std::log(2.0f), 0};
  EXPECT_NEAR(one_row({.cross_entropy = 0.25}, z, teacher, 1), 0.75 * 0.75 + 0.25 * std::log(2.0), 1e-6);
  // signs (+, -, +) of (1/4, 1/2, 1/4), mean 0: 0.75 q s + 0.25 (q - onehot)
  EXPECT_NEAR(z[0], 0.75 * 0.25 + 0.25 * 0.25, 1e-6);
  EXPECT_NEAR(z[1], -0.75 * 0.5 - 0.25 * 0.5, 1e-6);
  EXPECT_NEAR(z[2], 0.75 * 0.25 + 0.25 * 0.25, 1e-6);
}

TEST(SortedRows, OrderDoesNotMatterAndPaddingIsZero) {
  std::vector<float> z = {3, -1, 0.5f, 2, -0.25f}, moved = {-0.25f, 0.5f, 3, -1, 2};
  const std::vector<float> teacher = {0.5f, 2, 3, -1, -0.25f, -200};
  EXPECT_NEAR(one_row({.cross_entropy = 1e-9}, z, teacher), 0, 1e-6);
  EXPECT_NEAR(one_row({.cross_entropy = 1e-9}, moved, teacher), 0, 1e-6);
}

TEST(SortedRows, GradientsAreThoseOfFiniteDifferences) {
  Rng rng(3);
  for (const auto& [ours, theirs] : {std::pair(23, 40), std::pair(40, 23)}) {
    std::vector<float> teacher;
    std::vector<double> z;
    for (int i = 0; i < theirs; ++i) teacher.push_back(float(2 * rng.normal()));
    for (int i = 0; i < ours; ++i) z.push_back(2 * rng.normal());
    const SortedLoss loss = {.temperature = 1.5, .cross_entropy = 0.3};
    // As the paper writes it, in double precision.
    const auto value = [&] {
      const auto sorted = [](auto logits, double t) {
        std::vector<double> p;
        double sum = 0;
        for (const auto v : logits) p.push_back(std::exp(double(v) / t)), sum += p.back();
        for (double& v : p) v /= sum;
        std::sort(p.rbegin(), p.rend());
        p.resize(40);
        return p;
      };
      const auto p = sorted(teacher, 1.5), q = sorted(z, 1.5);
      double by_rank = 0, all = 0;
      for (std::size_t k = 0; k < 40; ++k) by_rank += std::fabs(p[k] - q[k]);
      for (const double v : z) all += std::exp(v);
      return 0.7 * 2.25 * by_rank - 0.3 * (z[5] - std::log(all));
    };
    std::vector<float> gradient(z.begin(), z.end());
    EXPECT_NEAR(one_row(loss, gradient, teacher, 5, 2), 2 * value(), 1e-5);
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double before = z[i];
      z[i] = before + 1e-6;
      const double up = value();
      z[i] = before - 1e-6;
      const double down = value();
      z[i] = before;
      EXPECT_NEAR(gradient[i], 2 * (up - down) / 2e-6, 3e-6) << i;
    }
  }
}

TEST(SortedRows, WithoutATeacherOnlyTheTextCounts) {
  std::vector<float> z = {0, 0};
  const float* none = nullptr;
  const Token target = 1;
  EXPECT_NEAR(sorted_rows({.cross_entropy = 0.5}, {z.data(), 1, 2, std::span(&target, 1), 1}, {&none, 1}, 7),
              0.5 * std::log(2.0), 1e-7);
  EXPECT_FLOAT_EQ(z[0], 0.25f);
  EXPECT_FLOAT_EQ(z[1], -0.25f);
  EXPECT_THROW(check_sorted_loss({.cross_entropy = 0}), Error);
}

// Byte-level vocabularies: ids in order of `tokens`, merges of pairs.
std::string vocabulary(const std::vector<std::string>& tokens, const std::string& merges) {
  nlohmann::json vocab = nlohmann::json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) vocab[tokens[i]] = i;
  const nlohmann::json all = {
      {"version", "1.0"},
      {"added_tokens", {{{"id", 0}, {"content", tokens[0]}, {"special", true}}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::parse(merges)}}}};
  return all.dump();
}
const std::string kEnds = R"({"eos_token": "<end>"})";
const std::string kLetters = vocabulary({"<end>", "a", "b", "c", "d", "ab", "abc"}, R"(["a b", "ab c"])");
const std::string kPairs = vocabulary({"<stop>", "d", "c", "b", "a", "bc", "cd"}, R"(["b c", "c d"])");

TEST(AlignText, MeetsWhereBothHaveReadTheSame) {
  const Tokenizer ours = Tokenizer::from_json(kLetters, kEnds),
                  theirs = Tokenizer::from_json(kPairs, R"({"eos_token": "<stop>"})");
  // ab|d|abc|d|<end>|c as a|b|d|a|bc|d|<stop>|c
  const std::vector<Token> tokens = {5, 4, 6, 4, 0, 3};
  const AlignedText aligned = align_text(ours, theirs, tokens, 100);
  EXPECT_EQ(aligned.tokens, (std::vector<Token>{4, 3, 1, 4, 5, 1, 0, 2}));
  EXPECT_EQ(aligned.place, (std::vector<dim>{1, 2, 4, 5, 6, 7}));
  // And the reverse: a|bc|d meets abc|d at its second and third token.
  const std::vector<Token> back = {4, 5, 1};
  EXPECT_EQ(align_text(theirs, ours, back, 100).place, (std::vector<dim>{-1, 0, 1}));
  EXPECT_EQ(align_text(ours, theirs, tokens, 5).place, (std::vector<dim>{1, 2, 4, -1, -1, -1}));
}

TEST(SharedTokens, AreFoundByTheirTexts) {
  const Tokenizer whole = Tokenizer::from_json(kLetters, kEnds), cut = whole.reduced(std::vector<Token>{0, 2, 3, 6});
  EXPECT_EQ(shared_tokens(cut, 4, whole, 7), (std::vector<Token>{0, 2, 3, 6}));
  EXPECT_EQ(shared_tokens(whole, 7, cut, 4), (std::vector<Token>{0}));  // "a" is not there
  EXPECT_EQ(shared_tokens(whole, 7, whole, 5), (std::vector<Token>{0, 1, 2, 3, 4}));
}

class OtherVocabularyTest : public testing::Test {
 protected:
  test::TempFolder folder;
  TrainingData data;
  OtherVocabularyTest() { set_num_threads(1); }
  Model written(const char* name, const std::string& tokenizer, dim vocab, const char* values) {
    test::WrittenModel m;
    m.config["vocab_size"] = vocab;
    m.at("model.embed_tokens.weight").shape = {vocab, 64};
    m.at("model.embed_tokens.weight").bytes = test::f32_tensor(values, {vocab, 64}).bytes;
    m.write(folder.path / name);
    std::ofstream(folder.path / name / "tokenizer.json") << tokenizer;
    std::ofstream(folder.path / name / "tokenizer_config.json") << kEnds;
    return Model::open(folder.path / name);
  }
  void learn_from(const std::vector<Token>& tokens) {
    TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
    s.predicted[0] = 0;
    data.sequences = {s};
    data.hash = "one";
  }
};

TEST_F(OtherVocabularyTest, UldFallsAndRefusesWhatHasNoPlaces) {
  const Model student = written("student", kLetters, 7, "one"), teacher = written("teacher", kPairs, 7, "two");
  learn_from({5, 4, 6, 4, 3, 3, 2, 5, 6});
  EXPECT_THROW(distill_objective({.divergence = divergences()[0]}, student, teacher, 9, 1), Error);
  EXPECT_THROW(distill_objective({.divergence = divergences()[0]}, student, teacher, 9, 1, {.shared_tokens = true}),
               Error);
  const auto loss = distill_by_text_objective({.cross_entropy = 0.01}, student, teacher, data, 1);
  EXPECT_TRUE(loss->describe().starts_with("0.99 uld + 0.01 cross_entropy, at ")) << loss->describe();
  Trainable trainable(student, {.bf16 = false});
  const TrainRun run = train(student, trainable, data, *loss, {.rate = 1e-2, .steps = 40, .batch = 1});
  EXPECT_LT(run.steps.back().loss, 0.6 * run.steps.front().loss);
}

TEST_F(OtherVocabularyTest, ACutVocabularyIsComparedOverItsTokens) {
  const Model teacher = written("teacher", kLetters, 7, "two");
  const Tokenizer cut = teacher.tokenizer().reduced(std::vector<Token>{0, 2, 3, 6});
  const Model student = written("student", cut.to_tokenizer_json(), 4, "one");
  learn_from({1, 2, 3, 3, 2, 1});
  const auto loss = distill_objective({.divergence = &divergence_or_throw("forward_kl")}, student, teacher, 6, 1,
                                      {.shared_tokens = true});
  EXPECT_EQ(loss->describe(), "forward_kl over 4 shared tokens");
  // A student that says of its four tokens what the teacher says of them: no loss.
  MicroBatch batch;
  batch.add(data.sequences[0]);
  loss->begin(batch, 0.2);
  Teacher reads(teacher, 6, 1);
  const std::vector<std::vector<Token>> theirs = {{2, 3, 6, 6, 3, 2}};
  reads.read(theirs);
  const float* z = reads.logits(batch.places);
  std::vector<float> same;
  for (dim i = 0; i < 5; ++i)
    for (const dim t : {0, 2, 3, 6}) same.push_back(z[i * 7 + t] + float(i));
  EXPECT_NEAR(loss->part(batch.places, same.data()), 0, 1e-6);
}

}  // namespace
}  // namespace pith
