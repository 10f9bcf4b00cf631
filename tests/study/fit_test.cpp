// Searches on a small trained model: the winner is the file that lies there, and a stopped search goes on.
#include "study/fit.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith::test {

namespace {

struct Stopped {};

class Fit : public testing::Test {
 protected:
  void SetUp() override {
    PITH_NEED_DATA(text, "text/tinystories_30k.txt");
    PITH_NEED_DATA(model, "models/stories260K/hf");
    source_ = model.string();
    options_.calibration = {.files = {text}, .samples = 4, .length = 64, .seed = 1};
    options_.measure.text_file = text.string();
    options_.measure.eval.protocol = "stories-256";
    options_.measure.eval.max_windows = 3;
    options_.measure.layers = false;
    options_.context = 256;
  }

  FitResult search(const std::filesystem::path& target, std::size_t most = 1000) {
    return fit(
        source_, options_, target,
        [&](const std::vector<FitPoint>& points) {
          if (points.size() >= most) throw Stopped();
        },
        no_progress());
  }

  const TempFolder temp_;
  std::string source_;
  FitOptions options_;
};

double kl_of(const std::filesystem::path& file, const std::string& source, const FitOptions& o) {
  return compare(Model::open(file), Model::open(source), read_file(o.measure.text_file), o.measure.eval)
      .divergence.kl.mean;
}

}  // namespace

TEST_F(Fit, TheWinnerIsTheBestOfWhatFitsAndLiesThere) {
  options_.goal.max_bytes = 240000;
  const FitResult found = search(temp_.path / "out.gguf");
  const FitPoint& winner = found.points[found.winner];
  EXPECT_EQ(dim(std::filesystem::file_size(temp_.path / "out.gguf")), winner.bytes());
  EXPECT_LE(winner.bytes(), 240000);
  EXPECT_DOUBLE_EQ(kl_of(temp_.path / "out.gguf", source_, options_), winner.kl());
  EXPECT_GE(found.points.size(), 5u);
  for (const FitPoint& p : found.points) {
    EXPECT_EQ(p.serves, p.bytes() <= 240000) << p.label;
    EXPECT_GE(p.serves ? p.kl() : winner.kl(), winner.kl()) << p.label;
  }
  const std::vector<std::size_t> front = pareto_front(found.points);
  for (std::size_t k = 1; k < front.size(); ++k) {
    EXPECT_GT(found.points[front[k]].bytes(), found.points[front[k - 1]].bytes());
    EXPECT_LT(found.points[front[k]].kl(), found.points[front[k - 1]].kl());
  }
  // The recipe makes the same file again.
  const RecipeFile recipe = parse_recipe(recipe_yaml(winner.recipe), "test", {});
  compress(Model::open(source_), recipe.recipe, Container::gguf, temp_.path / "again.gguf", {});
  EXPECT_EQ(read_file(temp_.path / "again.gguf"), read_file(temp_.path / "out.gguf"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp_.path), {}), 2);  // nothing else is left
}

TEST_F(Fit, AStoppedSearchGoesOnToTheSameFile) {
  options_.goal.max_bytes = 240000;
  options_.effort = FitEffort::quick;
  const FitResult whole = search(temp_.path / "whole.gguf");
  EXPECT_THROW(search(temp_.path / "out.gguf", 1), Stopped);
  EXPECT_FALSE(std::filesystem::exists(temp_.path / "out.gguf"));
  options_.resume = true;
  double first_seconds = -1;
  const FitResult rest = fit(
      source_, options_, temp_.path / "out.gguf",
      [&](const std::vector<FitPoint>& points) {
        if (points.size() == 1) first_seconds = points[0].record.compress_seconds;
      },
      no_progress());
  EXPECT_EQ(read_file(temp_.path / "out.gguf"), read_file(temp_.path / "whole.gguf"));
  ASSERT_EQ(rest.points.size(), whole.points.size());
  for (std::size_t i = 0; i < rest.points.size(); ++i) EXPECT_EQ(rest.points[i].kl(), whole.points[i].kl());
  EXPECT_GT(first_seconds, 0);
}

TEST_F(Fit, TheSmallestWithinALoss) {
  options_.goal.max_kl = 0.02;
  options_.effort = FitEffort::quick;
  const FitResult found = search(temp_.path / "out.gguf");
  const FitPoint& winner = found.points[found.winner];
  EXPECT_LE(winner.kl(), 0.02);
  for (const FitPoint& p : found.points)
    EXPECT_GE(p.kl() <= 0.02 ? p.bytes() : winner.bytes(), winner.bytes()) << p.label;
}

TEST_F(Fit, MemoryCountsKeysAndValues) {
  options_.effort = FitEffort::quick;
  // 256 tokens of 5 layers, 4 heads of 8, keys and values in f32: 256 x 5 x 2 x 32 x 4 = 327,680 bytes.
  options_.goal.max_ram = 240000 + 327680;
  const FitResult found = search(temp_.path / "out.gguf");
  EXPECT_LE(found.points[0].bytes(), 240000);
  EXPECT_FALSE(found.points[0].recipe.recipe.kv);
  dim encoded = 0;
  for (const FitPoint& p : found.points)
    if (p.recipe.recipe.kv && p.bytes() > 240000) ++encoded;  // what a smaller cache leaves goes to the weights
  EXPECT_GE(encoded, 1);
}

TEST_F(Fit, SaysWhatIsMissing) {
  const auto fault = [&] {
    try {
      search(temp_.path / "out.gguf");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(fault().find("expected a goal"), std::string::npos);
  options_.goal.max_bytes = 1000;
  EXPECT_NE(fault().find("expected at least"), std::string::npos) << fault();
  options_.goal.max_bytes = 240000;
  options_.goal.max_kl = 1e-9;
  options_.effort = FitEffort::quick;
  const std::string none = fault();
  EXPECT_NE(none.find("none of 2 does"), none.npos) << none;
  options_.measure.text_file.clear();
  EXPECT_NE(fault().find("expected a text"), std::string::npos);
}

}  // namespace pith::test
