#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compress/method.h"
#include "core/error.h"

namespace pith {

namespace {

std::vector<float> through_rtn(const Format& f, const std::vector<float>& x, dim cols,
                               const std::vector<std::string>& given, const float* importance = nullptr) {
  const Method& rtn = method_or_throw("rtn");
  const dim rows = dim(x.size()) / cols;
  std::vector<std::byte> out(std::size_t(rows * row_bytes(f, cols)));
  rtn.layer({x.data(), rows, cols, &f, importance, out.data()}, Options("rtn", rtn.options, given));
  std::vector<float> y(x.size());
  for (dim r = 0; r < rows; ++r) f.decode(f, out.data() + r * row_bytes(f, cols), cols, y.data() + r * cols);
  return y;
}

}  // namespace

TEST(Rtn, PlainRangeRoundsToTheNearestOfEvenSteps) {
  std::vector<float> x(32, 0.0f);  // q8_0: scale 127 / 127
  x[0] = 127;
  x[1] = 3.4f;
  x[2] = -3.6f;
  x[3] = 100.75f;
  const auto y = through_rtn(format_or_throw("q8_0"), x, 32, {"range=minmax"});
  EXPECT_EQ(y[0], 127);
  EXPECT_EQ(y[1], 3);
  EXPECT_EQ(y[2], -4);
  EXPECT_EQ(y[3], 101);
}

TEST(Rtn, RowsDoNotSeeEachOther) {
  std::vector<float> x(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = std::sin(float(i) * 0.7f) * (i < 32 ? 1.0f : 100.0f);
  const auto both = through_rtn(format_or_throw("q4_0"), x, 32, {});
  const auto first = through_rtn(format_or_throw("q4_0"), {x.begin(), x.begin() + 32}, 32, {});
  EXPECT_EQ(std::vector<float>(both.begin(), both.begin() + 32), first);
}

TEST(Rtn, ShrunkRangeHasTheSmallerError) {
  std::vector<float> x(512);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(float(i * i) * 0.37f) + (i % 32 == 5 ? 2.0f : 0.0f);
  const auto error = [&](const std::vector<std::string>& given) {
    const auto y = through_rtn(format_or_throw("q4_0"), x, 512, given);
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += double(x[i] - y[i]) * (x[i] - y[i]);
    return sum;
  };
  EXPECT_LT(error({"range=lp", "p=2", "steps=80"}), error({"range=minmax"}));
}

TEST(Rtn, ImportanceMovesTheErrorToWhatMattersLess) {
  std::vector<float> x(256), importance(256, 0.01f);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::sin(float(i * i) * 0.37f);
    if (i % 4 == 0) importance[i] = 100;
  }
  const Format& f = format_or_throw("q4_0");
  const auto error = [&](const float* weights) {
    const auto y = through_rtn(f, x, 256, {}, weights);
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); i += 4) sum += double(x[i] - y[i]) * (x[i] - y[i]);
    return sum;
  };
  EXPECT_LT(error(importance.data()), error(nullptr));
}

TEST(Rtn, RefusesOptionsOutOfRange) {
  const Method& rtn = method_or_throw("rtn");
  for (const char* given : {"range=widest", "p=0.5", "p=9", "steps=0", "steps=1e9", "grid=80"})
    EXPECT_THROW(Options("rtn", rtn.options, {given}), Error) << given;
}

}  // namespace pith
