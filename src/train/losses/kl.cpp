// Kullback-Leibler divergences.
#include <algorithm>
#include <cmath>

#include "train/losses/divergence.h"

namespace pith {

namespace {

// sum p log(p / q), whose derivative by q_i is -p_i / q_i
double forward_terms(const DivergenceRow& r, const DivergenceOptions&, float* slope) {
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]);
    if (p > 0) sum += double(p * (r.log_p[i] - r.log_q[i]));
    slope[i] = -p;
  }
  return sum;
}

// Where the teacher says 0 the reverse divergence is infinite; a teacher of finite logits says so only where f32 ends.
constexpr float kLeastLog = -100;

// sum q log(q / p), whose derivative by q_i is log(q_i / p_i) and a constant
double reverse_terms(const DivergenceRow& r, const DivergenceOptions&, float* slope) {
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    slope[i] = std::exp(r.log_q[i]) * (r.log_q[i] - std::max(r.log_p[i], kLeastLog));
    sum += double(slope[i]);
  }
  return sum;
}

double cakld_terms(const DivergenceRow& r, const DivergenceOptions& o, float* slope) {
  const double gamma =
      o.gamma >= 0 ? o.gamma : std::exp(double(*std::max_element(r.log_p, r.log_p + r.n - (r.rest ? 1 : 0))));
  const auto reverse = float(gamma), forward = float(1 - gamma);
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]), q = std::exp(r.log_q[i]);
    const float back = q * (r.log_q[i] - std::max(r.log_p[i], kLeastLog));
    sum += double(reverse * back);
    if (p > 0) sum += double(forward * p * (r.log_p[i] - r.log_q[i]));
    slope[i] = reverse * back - forward * p;
  }
  return sum;
}

}  // namespace

extern const Divergence divergence_forward_kl, divergence_reverse_kl, divergence_cakld;

const Divergence divergence_forward_kl = {"forward_kl", "KL(teacher || student): covers all that the teacher may say",
                                          "Hinton et al. 2015, arXiv:1503.02531", forward_terms};
const Divergence divergence_reverse_kl = {"reverse_kl", "KL(student || teacher): says only what the teacher may say",
                                          "MiniLLM, arXiv:2306.08543", reverse_terms};
const Divergence divergence_cakld = {"cakld",
                                     "gamma * reverse_kl + (1 - gamma) * forward_kl: reverse where the teacher is sure",
                                     "BitDistiller, arXiv:2402.10631", cakld_terms};

}  // namespace pith
