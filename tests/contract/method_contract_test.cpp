// What every registered method must do with every quantized format, whatever it is.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "compress/method.h"
#include "compress/policy.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"

namespace pith {

namespace {

constexpr dim kRows = 96, kCols = 512;  // enough for several threads

std::vector<float> random_matrix(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(kRows * kCols);
  for (float& v : x) v = float(rng.normal()) * 0.05f;
  return x;
}

std::vector<std::byte> compressed(const Method& method, const Format& f, const std::vector<float>& x,
                                  const std::vector<std::string>& options = {}, const float* importance = nullptr) {
  const std::size_t size = std::size_t(kRows * row_bytes(f, kCols));
  std::vector<std::byte> out(size + 64, std::byte(0xa5));  // with a guard
  method.layer({x.data(), kRows, kCols, &f, importance, out.data()}, Options(method.name, method.options, options));
  for (std::size_t i = size; i < out.size(); ++i) EXPECT_EQ(out[i], std::byte(0xa5)) << "wrote past the end";
  out.resize(size);
  return out;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& bytes) {
  std::vector<float> out(kRows * kCols);
  for (dim r = 0; r < kRows; ++r) f.decode(f, bytes.data() + r * row_bytes(f, kCols), kCols, out.data() + r * kCols);
  return out;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// Calibrated methods round to nearest here, where nothing was measured: one format in six shows it.
std::vector<const Format*> formats_of(const Method& m) {
  const dim step = m.needs == Needs::nothing ? 1 : 6;
  std::vector<const Format*> formats;
  dim number = 0;
  for (const Format* f : all_formats())
    if (!is_dense(*f) && fits(*f, kCols) && number++ % step == 0) formats.push_back(f);
  return formats;
}

std::vector<const Method*> methods_of_layers() {
  std::vector<const Method*> methods;
  for (const Method* m : all_methods())
    if (m->layer) methods.push_back(m);
  return methods;
}

class MethodContract : public ::testing::TestWithParam<const Method*> {
 protected:
  // check(method, format) for every format
  template <class Check>
  void with_each_format(const Check& check) const {
    for (const Format* f : formats_of(*GetParam())) {
      SCOPED_TRACE(f->name);
      check(*GetParam(), *f);
    }
  }
};

}  // namespace

TEST_P(MethodContract, ZeroRowsStayZero) {
  with_each_format([](const Method& method, const Format& format) {
    auto x = random_matrix(1);
    std::fill(x.begin() + kCols, x.begin() + 2 * kCols, 0.0f);
    const auto y = decoded(format, compressed(method, format, x));
    for (dim c = 0; c < kCols; ++c) ASSERT_EQ(y[std::size_t(kCols + c)], 0.0f) << c;
    EXPECT_GT(squared_error(y, std::vector<float>(y.size())), 0);  // the other rows are not
  });
}

// Some grids (powers of two times 1, 1.5, 2, 3, 4, 6) are a sixth away from a constant at worst.
TEST_P(MethodContract, ConstantRowsStayNearlyConstant) {
  with_each_format([](const Method& method, const Format& format) {
    for (const float constant : {0.37f, -0.37f}) {
      const std::vector<float> x(kRows * kCols, constant);
      for (const float v : decoded(format, compressed(method, format, x)))
        ASSERT_NEAR(v, constant, 0.17f * std::fabs(constant));
    }
  });
}

TEST_P(MethodContract, OutlierSurvivesAndStaysFinite) {
  with_each_format([](const Method& method, const Format& format) {
    auto x = random_matrix(2);
    x[kCols + 7] = 50.0f;
    const auto y = decoded(format, compressed(method, format, x));
    for (const float v : y) ASSERT_TRUE(std::isfinite(v));
    // Where no code is near zero at the scale of an outlier, the least squared error gives part of it up for the rest.
    const bool has_zero = !format.name.starts_with("iq2") && !format.name.starts_with("iq1") && format.name != "q1_0" &&
                          format.name != "e8p";
    if (has_zero)
      EXPECT_NEAR(y[kCols + 7], 50.0f, 50.0f * 0.2f);
    else
      EXPECT_GT(y[kCols + 7], 0.0f);
  });
}

TEST_P(MethodContract, SameBytesForAnyNumberOfThreads) {
  with_each_format([](const Method& method, const Format& format) {
    const auto x = random_matrix(3);
    const int before = num_threads();
    set_num_threads(1);
    const auto one = compressed(method, format, x);
    for (const int threads : {2, 7}) {
      set_num_threads(threads);
      EXPECT_EQ(compressed(method, format, x), one) << threads;
    }
    set_num_threads(before);
  });
}

TEST_P(MethodContract, StatedBitsAreMeasuredBytes) {
  with_each_format([](const Method& method, const Format& format) {
    EXPECT_DOUBLE_EQ(bits_per_weight(format, kCols) * double(kCols) / 8, double(row_bytes(format, kCols)));
    EXPECT_EQ(dim(compressed(method, format, random_matrix(4)).size()), kRows * row_bytes(format, kCols));
  });
}

TEST_P(MethodContract, NotWorseThanPlainRangesAtEqualSize) {
  with_each_format([](const Method& method, const Format& format) {
    const auto x = random_matrix(5);
    const Method& rtn = method_or_throw("rtn");
    const double plain = squared_error(x, decoded(format, compressed(rtn, format, x, {"range=minmax"})));
    const double own = squared_error(x, decoded(format, compressed(method, format, x)));
    EXPECT_GT(plain, 0);
    EXPECT_LE(own, plain * 1.0001);
  });
}

TEST_P(MethodContract, LeavesTheSourceAlone) {
  with_each_format([](const Method& method, const Format& format) {
    const auto x = random_matrix(6);
    const auto copy = x;
    compressed(method, format, x);
    EXPECT_EQ(x, copy);
  });
}

INSTANTIATE_TEST_SUITE_P(All, MethodContract, ::testing::ValuesIn(methods_of_layers()),
                         [](const auto& case_info) { return std::string(case_info.param->name); });

TEST(Methods, HaveNamesFamiliesAndDefaultsThatTheirOptionsAllow) {
  ASSERT_FALSE(all_methods().empty());
  for (const Method* m : all_methods()) {
    EXPECT_EQ(&method_or_throw(m->name), m);
    EXPECT_FALSE(m->family.empty());
    EXPECT_FALSE(m->summary.empty());
    EXPECT_FALSE(m->paper.empty());
    std::vector<std::string> given;
    std::set<std::string_view> names;
    for (const OptionSpec& spec : m->options)
      EXPECT_TRUE(names.insert(spec.name).second) << m->name << ' ' << spec.name;
    for (const OptionSpec& spec : m->options) given.push_back(fmt::format("{}={}", spec.name, spec.default_value));
    EXPECT_NO_THROW(Options(m->name, m->options, given)) << m->name;
  }
  EXPECT_THROW(method_or_throw("no-such-method"), Error);
}

}  // namespace pith
