#include "train/losses/policy_rows.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/logsumexp.h"
#include "train/losses/row_sums.h"

namespace pith {

namespace {

constexpr float kLeastLog = -100;  // of a teacher's probability, as in the reverse divergence

struct Scratch {
  std::vector<float> log_p;
};

double log_of(const float* z, dim n, dim token) {
  const float max = scan_row(z, n).max;
  return double(z[token]) - double(max) - std::log(sum_exp(z, n, max));
}

// What each row's gradient of ln q(y) counts: w R, rows in their order.
std::vector<double> factors_of(const PolicyLoss& loss, const DistillRows& rows, const TeacherLogits& teacher, dim both,
                               std::span<const dim> left, PolicyReturns& returns) {
  std::vector<double> log_p(static_cast<std::size_t>(rows.n)), log_q(log_p), factors(log_p);
  parallel_parts(rows.n, grain_of(8 * both), [&](dim, dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      const Token y = rows.targets[std::size_t(i)];
      log_p[std::size_t(i)] = y < both ? log_of(teacher.logits + i * teacher.vocab, both, y) : double(kLeastLog);
      log_q[std::size_t(i)] = log_of(rows.logits + i * rows.vocab, rows.vocab, y);
    }
  });
  double sum = 0;
  dim count = 0;
  for (auto i = std::size_t(rows.n); i-- > 0;) {
    if (left[i] == 0) returns.rewards = 0;
    factors[i] = loss.even_lengths ? returns.rewards / double(std::max<dim>(1, left[i])) : returns.rewards;
    sum += factors[i];
    count += left[i] > 0;
    returns.rewards += std::clamp(log_p[i] - log_q[i], -loss.most_reward, loss.most_reward);
  }
  const double middle = loss.centred && count > 0 ? sum / double(count) : 0;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double weight = 1 / (loss.teacher_mix * std::exp(log_p[i] - log_q[i]) + (1 - loss.teacher_mix));
    factors[i] = left[i] > 0 ? weight * (factors[i] - middle) : 0;
  }
  return factors;
}

}  // namespace

void check_policy_loss(const PolicyLoss& loss) {
  if (!(loss.teacher_mix >= 0 && loss.teacher_mix < 1))
    throw input_error("teacher-mix", "expected a share from 0 to below 1, got {}", loss.teacher_mix);
  if (!(loss.most_reward > 0 && loss.most_reward <= 1000))
    throw input_error("reward", "expected a limit above 0 and up to 1000, got {}", loss.most_reward);
}

double policy_rows(const PolicyLoss& loss, const DistillRows& rows, const TeacherLogits& teacher,
                   std::span<const dim> left, PolicyReturns& returns) {
  const dim vocab = rows.vocab, both = std::min(vocab, teacher.vocab);
  const std::vector<double> factors = factors_of(loss, rows, teacher, both, left, returns);
  return over_rows<Scratch>(rows.n, vocab, rows.weight, [&](dim i, Scratch& s) {
    float* z = rows.logits + i * vocab;
    const Token y = rows.targets[std::size_t(i)];
    s.log_p.assign(std::size_t(vocab), kLeastLog);
    log_softmax(teacher.logits + i * teacher.vocab, both, 1, s.log_p.data());
    log_softmax(z, vocab, 1, z);
    double divergence = 0;
    for (dim v = 0; v < vocab; ++v)
      divergence += double(std::exp(z[v]) * (z[v] - std::max(s.log_p[std::size_t(v)], kLeastLog)));
    const double factor = factors[std::size_t(i)];
    for (dim v = 0; v < vocab; ++v) {
      const double slope = double(z[v]) - double(std::max(s.log_p[std::size_t(v)], kLeastLog)) - divergence + factor;
      z[v] = float(rows.weight * double(std::exp(z[v])) * slope);
    }
    z[y] -= float(rows.weight * factor);
    return divergence;
  });
}

}  // namespace pith
