// Divergences: identities, limits, and gradients against central differences of plain double-precision formulas.
#include "train/losses/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/error.h"
#include "core/rng.h"
#include "train/losses/distill_rows.h"

namespace pith {
namespace {

using Values = std::vector<double>;

constexpr dim kVocab = 37;

std::vector<float> random_logits(std::uint64_t seed, double spread, dim n = kVocab) {
  Rng rng(seed);
  std::vector<float> z(static_cast<std::size_t>(n));
  for (float& v : z) v = float(rng.normal() * spread);
  return z;
}

Values softmax(const Values& z, double temperature = 1) {
  Values p;
  double sum = 0;
  for (const double v : z) p.push_back(std::exp(v / temperature)), sum += p.back();
  for (double& v : p) v /= sum;
  return p;
}

double kl(const Values& p, const Values& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] > 0 ? p[i] * std::log(p[i] / q[i]) : 0;
  return sum;
}

Values mix(const Values& p, const Values& q, double of_p) {
  Values m;
  for (std::size_t i = 0; i < p.size(); ++i) m.push_back(of_p * p[i] + (1 - of_p) * q[i]);
  return m;
}

// As the papers write them.
double reference(std::string_view name, const Values& p, const Values& q, const DivergenceOptions& o) {
  if (name == "forward_kl") return kl(p, q);
  if (name == "reverse_kl") return kl(q, p);
  if (name == "skew_kl") return kl(p, mix(p, q, o.alpha));
  if (name == "skew_reverse_kl") return kl(q, mix(p, q, 1 - o.alpha));
  if (name == "cakld") {
    const double gamma = o.gamma >= 0 ? o.gamma : *std::max_element(p.begin(), p.end());
    return gamma * kl(q, p) + (1 - gamma) * kl(p, q);
  }
  if (name == "total_variation") {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += std::fabs(p[i] - q[i]) / 2;
    return sum;
  }
  const Values m = mix(p, q, o.beta);
  return o.beta * kl(p, m) + (1 - o.beta) * kl(q, m);
}

double loss_of(const DistillLoss& loss, const Values& z, const Values& teacher, std::size_t target) {
  const double t = loss.temperature;
  const double divergence = t * t * reference(loss.divergence->name, softmax(teacher, t), softmax(z, t), loss.options);
  return (1 - loss.cross_entropy) * divergence - loss.cross_entropy * std::log(softmax(z)[target]);
}

double run(const DistillLoss& loss, std::vector<float>& z, const std::vector<float>& teacher, Token target = 0,
           double weight = 1) {
  return distill_rows(loss, {z.data(), 1, dim(z.size()), std::span(&target, 1), weight},
                      TeacherLogits{teacher.data(), dim(teacher.size())});
}

class DivergenceOf : public testing::TestWithParam<const Divergence*> {};

TEST_P(DivergenceOf, IsZeroWithZeroGradientAtEqualDistributions) {
  for (const double shift : {0.0, 3.5}) {
    if (shift != 0 && GetParam() == &divergence_or_throw("total_variation")) continue;  // a kink: roundings have a sign
    const std::vector<float> teacher = random_logits(1, 2);
    std::vector<float> z = teacher;
    for (float& v : z) v += float(shift);  // logits are only known up to a constant
    const double value = run({.divergence = GetParam()}, z, teacher);
    EXPECT_NEAR(value, 0, 2e-6);  // f32 log-probabilities
    for (const float g : z) EXPECT_NEAR(g, 0, 3e-7);
  }
}

TEST_P(DivergenceOf, EqualsItsFormulaAndCentralDifferences) {
  struct Case {
    double temperature, cross_entropy, spread, weight;
  };
  for (const Case& c : {Case{1, 0, 1, 1}, Case{2.5, 0, 3, 0.25}, Case{1, 0.3, 2, 1}, Case{4, 0.7, 2, 2}}) {
    DistillLoss loss = {.divergence = GetParam(), .temperature = c.temperature, .cross_entropy = c.cross_entropy};
    loss.options = {.beta = 0.3, .alpha = 0.2};
    const std::vector<float> teacher = random_logits(5, c.spread);
    const std::vector<float> student = random_logits(6, c.spread);
    const Values p(teacher.begin(), teacher.end());
    Values q(student.begin(), student.end());
    std::vector<float> gradient = student;
    const double expected = loss_of(loss, q, p, 11);
    // f32 exponentials and logarithms: some 1e-7 of each of the terms
    EXPECT_NEAR(run(loss, gradient, teacher, 11, c.weight), c.weight * expected, 1e-5 * (c.weight + expected));
    for (std::size_t i = 0; i < q.size(); ++i) {
      const double before = q[i], h = 1e-5;
      q[i] = before + h;
      const double up = loss_of(loss, q, p, 11);
      q[i] = before - h;
      const double down = loss_of(loss, q, p, 11);
      q[i] = before;
      EXPECT_NEAR(double(gradient[i]), c.weight * (up - down) / (2 * h), 3e-6 * (1 + c.temperature)) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DivergenceOf, testing::ValuesIn(divergences()),
                         [](const auto& parameter) { return std::string(parameter.param->name); });

double value_of(const char* name, const DivergenceOptions& options, double spread = 2) {
  std::vector<float> z = random_logits(8, spread);
  return run({.divergence = &divergence_or_throw(name), .options = options}, z, random_logits(9, spread));
}

TEST(Divergences, KeepTheirBounds) {
  for (const double spread : {0.5, 5.0, 30.0}) {
    EXPECT_LE(value_of("jsd", {.beta = 0.5}, spread), std::log(2.0) + 1e-6);
    EXPECT_LE(value_of("skew_kl", {.alpha = 0.1}, spread), -std::log(0.1) + 1e-6);
    EXPECT_LE(value_of("skew_reverse_kl", {.alpha = 0.1}, spread), -std::log(0.1) + 1e-6);
    EXPECT_LE(value_of("total_variation", {}, spread), 1 + 1e-6);
  }
  // and come near them where the distributions have nothing in common
  std::vector<float> z = {40, 0}, far = {0, 40};
  EXPECT_NEAR(run({.divergence = &divergence_or_throw("jsd")}, z, far), 0.69314718, 1e-6);
}

TEST(Divergences, JsdTendsToBothKullbackLeiblers) {
  // What is left is of first order in beta, some twenty times that; f32 adds as much.
  const double forward = value_of("forward_kl", {}), reverse = value_of("reverse_kl", {});
  EXPECT_NEAR(value_of("jsd", {.beta = 1e-4}) / 1e-4, forward, 5e-3 * forward);
  EXPECT_NEAR(value_of("jsd", {.beta = 1 - 1e-4}) / 1e-4, reverse, 5e-3 * reverse);
}

TEST(Divergences, KnowTheirNamesAndRanges) {
  EXPECT_EQ(std::string(divergence_or_throw("jsd").name), "jsd");
  EXPECT_THROW(divergence_or_throw("kl2"), Error);
  EXPECT_THROW(check_divergence_options({.beta = 1}), Error);
  EXPECT_THROW(check_divergence_options({.alpha = 0}), Error);
  EXPECT_THROW(check_distill_loss({.divergence = &divergence_or_throw("jsd"), .temperature = 0}), Error);
  EXPECT_THROW(check_distill_loss({.divergence = &divergence_or_throw("jsd"), .cross_entropy = 1.5}), Error);
}

// The teacher's k likeliest tokens as log-probabilities.
struct Kept {
  std::vector<Token> tokens;
  std::vector<float> log_p;
};
Kept keep(const std::vector<float>& teacher, std::size_t k) {
  const Values p = softmax(Values(teacher.begin(), teacher.end()));
  std::vector<Token> order(p.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = Token(i);
  std::sort(order.begin(), order.end(), [&](Token a, Token b) { return p[std::size_t(a)] > p[std::size_t(b)]; });
  Kept kept;
  for (std::size_t i = 0; i < k; ++i) {
    kept.tokens.push_back(order[i]);
    kept.log_p.push_back(float(std::log(p[std::size_t(order[i])])));
  }
  double others = 0;
  for (std::size_t i = k; i < p.size(); ++i) others += p[std::size_t(order[i])];
  kept.log_p.push_back(float(std::log(others)));
  return kept;
}

TEST_P(DivergenceOf, OfKeptTokensSeesTheRestAsOne) {
  const std::vector<float> teacher = random_logits(21, 2), student = random_logits(22, 2);
  const Kept kept = keep(teacher, 6);
  const DistillLoss loss = {.divergence = GetParam()};
  const auto value = [&](const Values& z) {
    const Values all_p = softmax(Values(teacher.begin(), teacher.end())), all_q = softmax(z);
    Values p, q;
    double rest_p = 1, rest_q = 1;
    for (const Token t : kept.tokens) {
      p.push_back(all_p[std::size_t(t)]), rest_p -= p.back();
      q.push_back(all_q[std::size_t(t)]), rest_q -= q.back();
    }
    p.push_back(rest_p), q.push_back(rest_q);
    DivergenceOptions options = loss.options;
    options.gamma = p[0];  // of a token, never of the rest
    return reference(loss.divergence->name, p, q, options);
  };
  Values z(student.begin(), student.end());
  std::vector<float> gradient = student;
  const Token target = 3;
  const double got = distill_rows(loss, {gradient.data(), 1, kVocab, std::span(&target, 1), 1},
                                  TeacherTop{kept.tokens.data(), kept.log_p.data(), 6});
  EXPECT_NEAR(got, value(z), 1e-5);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double before = z[i];
    z[i] = before + 1e-5;
    const double up = value(z);
    z[i] = before - 1e-5;
    const double down = value(z);
    z[i] = before;
    EXPECT_NEAR(double(gradient[i]), (up - down) / 2e-5, 5e-6) << i;
  }
}

TEST(DistillRows, PaddedVocabulariesShareWhatBothHave) {
  const std::vector<float> teacher = random_logits(31, 2, kVocab + 5);
  std::vector<float> cut(teacher.begin(), teacher.end() - 5);
  std::vector<float> a = random_logits(32, 2), b = a;
  const DistillLoss loss = {.divergence = &divergence_or_throw("forward_kl")};
  EXPECT_EQ(run(loss, a, teacher), run(loss, b, cut));
  EXPECT_EQ(a, b);
  std::vector<float> wider = random_logits(33, 2, kVocab + 9);
  run(loss, wider, cut);
  for (std::size_t i = kVocab; i < wider.size(); ++i) EXPECT_EQ(wider[i], 0) << i;
}

}  // namespace
}  // namespace pith
