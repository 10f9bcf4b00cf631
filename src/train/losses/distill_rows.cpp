#include "train/losses/distill_rows.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/losses/row_sums.h"

namespace pith {

namespace {

double sum_of(const float* x, dim n) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += double(x[i]);
  return sum;
}

// Memory of one thread.
struct Scratch {
  std::vector<float> log_p, log_q, slope;
  void hold(dim n) {
    for (auto* v : {&log_p, &log_q, &slope}) v->resize(std::size_t(n));
  }
};

}  // namespace

void check_distill_loss(const DistillLoss& loss) {
  check_divergence_options(loss.options);
  check_temperature(loss.temperature);
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
  return over_rows<Scratch>(rows.n, vocab, rows.weight, [&](dim i, Scratch& s) {
    s.hold(vocab + 1);
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
  return over_rows<Scratch>(rows.n, vocab, rows.weight, [&](dim i, Scratch& s) {
    s.hold(vocab + 1);
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
