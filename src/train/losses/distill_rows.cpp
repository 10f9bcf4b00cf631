#include "train/losses/distill_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "ops/logsumexp.h"
#include "ops/parts.h"

namespace pith {

namespace {

// out = ln softmax(x / temperature); may be x.
void log_softmax(const float* x, dim n, double temperature, float* out) {
  const auto factor = float(1 / temperature);
  for (dim i = 0; i < n; ++i) out[i] = x[i] * factor;
  const float max = scan_row(out, n).max;
  const auto rest = float(std::log(sum_exp(out, n, max)));
  for (dim i = 0; i < n; ++i) out[i] = (out[i] - max) - rest;
}

double sum_of(const float* x, dim n) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += double(x[i]);
  return sum;
}

// Memory of one thread.
struct Scratch {
  std::vector<float> log_p, log_q, slope;
  explicit Scratch(dim n) : log_p(std::size_t(n)), log_q(log_p), slope(log_p) {}
};

// The weighted sum of of_row(row, scratch), added up in the rows' order.
double over_rows(dim n, dim vocab, double weight, const std::function<double(dim, Scratch&)>& of_row) {
  std::vector<double> values(static_cast<std::size_t>(n));
  parallel_parts(n, grain_of(32 * vocab), [&](dim, dim begin, dim end) {
    Scratch scratch(vocab + 1);
    for (dim i = begin; i < end; ++i) values[std::size_t(i)] = of_row(i, scratch);
  });
  return weight * std::accumulate(values.begin(), values.end(), 0.0);
}

// z's cross-entropy with the target, in nats; gradient = share * (softmax - onehot) of all n.
double cross_entropy_row(const float* z, dim n, dim target, double share, float* gradient) {
  const float max = scan_row(z, n).max;
  const double log_sum = double(max) + std::log(sum_exp(z, n, max));
  const double value = log_sum - double(z[target]);
  for (dim i = 0; i < n; ++i) gradient[i] = float(share * std::exp(double(z[i]) - log_sum));
  gradient[target] -= float(share);
  return value;
}

}  // namespace

void check_distill_loss(const DistillLoss& loss) {
  check_divergence_options(loss.options);
  if (!(loss.temperature > 0 && loss.temperature <= 1000))
    throw input_error("temperature", "expected a number above 0 and up to 1000, got {}", loss.temperature);
  if (!(loss.cross_entropy >= 0 && loss.cross_entropy <= 1))
    throw input_error("cross-entropy", "expected a share from 0 to 1, got {}", loss.cross_entropy);
}

std::string describe_loss(const DistillLoss& loss) {
  const std::string name = loss.divergence->name;
  std::string text = name;
  if (name == "jsd") text += fmt::format(" (beta {:g})", loss.options.beta);
  if (name.starts_with("skew")) text += fmt::format(" (alpha {:g})", loss.options.alpha);
  if (name == "cakld" && loss.options.gamma >= 0) text += fmt::format(" (gamma {:g})", loss.options.gamma);
  if (loss.temperature != 1) text += fmt::format(" at temperature {:g}", loss.temperature);
  if (loss.cross_entropy > 0)
    text = fmt::format("{:g} {} + {:g} cross_entropy", 1 - loss.cross_entropy, text, loss.cross_entropy);
  return text;
}

double distill_rows(const DistillLoss& loss, const DistillRows& rows, const TeacherLogits& teacher) {
  const dim vocab = rows.vocab, shared = std::min(vocab, teacher.vocab);
  const double share = 1 - loss.cross_entropy, t = loss.temperature;
  return over_rows(rows.n, vocab, rows.weight, [&](dim i, Scratch& s) {
    float* z = rows.logits + i * vocab;
    log_softmax(teacher.logits + i * teacher.vocab, shared, t, s.log_p.data());
    log_softmax(z, shared, t, s.log_q.data());
    double value =
        share * t * t * loss.divergence->terms({s.log_p.data(), s.log_q.data(), shared}, loss.options, s.slope.data());
    if (loss.cross_entropy > 0)
      value += loss.cross_entropy *
               cross_entropy_row(z, vocab, rows.targets[std::size_t(i)], loss.cross_entropy * rows.weight, z);
    else
      std::fill_n(z, vocab, 0.0f);
    const auto sum = float(sum_of(s.slope.data(), shared)), factor = float(share * t * rows.weight);
    for (dim v = 0; v < shared; ++v)
      z[v] += factor * (s.slope[std::size_t(v)] - std::exp(s.log_q[std::size_t(v)]) * sum);
    return value;
  });
}

double distill_rows(const DistillLoss& loss, const DistillRows& rows, const TeacherTop& teacher) {
  PITH_CHECK(loss.temperature == 1 && teacher.k < rows.vocab);
  const dim vocab = rows.vocab, k = teacher.k;
  const double share = 1 - loss.cross_entropy;
  return over_rows(rows.n, vocab, rows.weight, [&](dim i, Scratch& s) {
    float* z = rows.logits + i * vocab;
    const Token* tokens = teacher.tokens + i * k;
    const float* log_p = teacher.log_p + i * (k + 1);
    std::vector<float> log_q(static_cast<std::size_t>(k)), slope(std::size_t(k + 1));
    log_softmax(z, vocab, 1, s.log_q.data());
    double rest_q = 0;
    std::fill_n(s.slope.data(), vocab, 0.0f);
    for (dim j = 0; j < k; ++j) {
      log_q[std::size_t(j)] = s.log_q[std::size_t(tokens[j])];
      s.slope[std::size_t(tokens[j])] = 1;  // kept
    }
    for (dim v = 0; v < vocab; ++v)
      if (s.slope[std::size_t(v)] == 0) rest_q += std::exp(double(s.log_q[std::size_t(v)]));
    log_q.push_back(float(std::log(std::max(rest_q, 1e-38))));
    double value = share * loss.divergence->terms({log_p, log_q.data(), k + 1, true}, loss.options, slope.data());
    if (loss.cross_entropy > 0)
      value += loss.cross_entropy *
               cross_entropy_row(z, vocab, rows.targets[std::size_t(i)], loss.cross_entropy * rows.weight, z);
    else
      std::fill_n(z, vocab, 0.0f);
    const auto sum = float(sum_of(slope.data(), k + 1)), factor = float(share * rows.weight);
    // The rest's slope falls on its tokens as the student shares its probability among them.
    const auto of_rest = float(double(slope.back()) / std::max(rest_q, 1e-38));
    for (dim v = 0; v < vocab; ++v)
      z[v] += factor * std::exp(s.log_q[std::size_t(v)]) * ((s.slope[std::size_t(v)] == 0 ? of_rest : 0) - sum);
    for (dim j = 0; j < k; ++j) z[tokens[j]] += factor * slope[std::size_t(j)];
    return value;
  });
}

}  // namespace pith
