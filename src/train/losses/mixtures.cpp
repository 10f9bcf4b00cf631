// Divergences from a mixture m of both distributions, and total variation: bounded, whatever the distributions.
#include <algorithm>
#include <cmath>

#include "train/losses/divergence.h"

namespace pith {

namespace {

// beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q; derivative by q_i: (1 - beta) log(q_i / m_i)
double jsd_terms(const DivergenceRow& r, const DivergenceOptions& o, float* slope) {
  const auto b = float(o.beta), c = float(1 - o.beta);
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]), q = std::exp(r.log_q[i]);
    // From the larger of the two, so that nothing is lost where both are small.
    const float top = std::max(r.log_p[i], r.log_q[i]);
    const float log_m = top + std::log(b * std::exp(r.log_p[i] - top) + c * std::exp(r.log_q[i] - top));
    slope[i] = c * q * (r.log_q[i] - log_m);
    sum += double(slope[i]);
    if (p > 0) sum += double(b * p * (r.log_p[i] - log_m));
  }
  return sum;
}

// KL(p || m), m = alpha p + (1 - alpha) q; derivative: -(1 - alpha) p_i / m_i
double skew_terms(const DivergenceRow& r, const DivergenceOptions& o, float* slope) {
  const auto a = float(o.alpha), c = float(1 - o.alpha);
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]), q = std::exp(r.log_q[i]), m = a * p + c * q;
    slope[i] = 0;
    if (!(p > 0)) continue;
    sum += double(p * (r.log_p[i] - std::log(m)));
    slope[i] = -c * q * (p / m);
  }
  return sum;
}

// KL(q || m), m = (1 - alpha) p + alpha q; derivative: log(q_i / m_i) - alpha q_i / m_i and a constant
double skew_reverse_terms(const DivergenceRow& r, const DivergenceOptions& o, float* slope) {
  const auto a = float(o.alpha), c = float(1 - o.alpha);
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]), q = std::exp(r.log_q[i]), m = c * p + a * q;
    slope[i] = 0;
    if (!(q > 0)) continue;
    const float log_ratio = r.log_q[i] - std::log(m);
    sum += double(q * log_ratio);
    slope[i] = q * (log_ratio - a * (q / m));
  }
  return sum;
}

double variation_terms(const DivergenceRow& r, const DivergenceOptions&, float* slope) {
  double sum = 0;
  for (dim i = 0; i < r.n; ++i) {
    const float p = std::exp(r.log_p[i]), q = std::exp(r.log_q[i]);
    sum += 0.5 * double(std::fabs(p - q));
    slope[i] = q > p ? 0.5f * q : q < p ? -0.5f * q : 0.0f;
  }
  return sum;
}

}  // namespace

extern const Divergence divergence_jsd, divergence_skew_kl, divergence_skew_reverse_kl, divergence_total_variation;

const Divergence divergence_jsd = {"jsd", "Jensen-Shannon, of a mixture with beta of the teacher: at most ln 2",
                                   "GKD, arXiv:2306.13649", jsd_terms};
const Divergence divergence_skew_kl = {"skew_kl", "KL(teacher || student with alpha of the teacher): at most -ln alpha",
                                       "DistiLLM, arXiv:2402.03898", skew_terms};
const Divergence divergence_skew_reverse_kl = {"skew_reverse_kl",
                                               "KL(student || teacher with alpha of the student): at most -ln alpha",
                                               "DistiLLM, arXiv:2402.03898", skew_reverse_terms};
const Divergence divergence_total_variation = {"total_variation", "half the sum of |teacher - student|: at most 1",
                                               "f-DISTILL, arXiv:2307.15190", variation_terms};

}  // namespace pith
