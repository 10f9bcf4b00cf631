#include "ops/scoring.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/logsumexp.h"

namespace pith {
namespace {

struct Normalizer {
  bool finite = true;
  float max = 0;
  double lse = 0;  // ln of the sum of exp of the row
};

Normalizer normalizer_of(const float* x, dim n) {
  const RowScan scan = scan_row(x, n);
  if (!scan.finite) return {.finite = false, .max = 0, .lse = 0};
  return {.finite = true, .max = scan.max, .lse = double(scan.max) + std::log(sum_exp(x, n, scan.max))};
}

constexpr std::size_t kMostTop = 10;
using Top = std::array<dim, kMostTop>;  // indices of the largest values, the largest first; -1: there are no more

Top top_of(const float* x, dim n) {
  Top top;
  top.fill(-1);
  for (dim i = 0; i < n; ++i) {
    if (top.back() >= 0 && x[i] <= x[top.back()]) continue;
    std::size_t at = kMostTop - 1;
    for (; at > 0 && (top[at - 1] < 0 || x[i] > x[top[at - 1]]); --at) top[at] = top[at - 1];
    top[at] = i;
  }
  return top;
}

double shared(const Top& a, const Top& b, dim k) {
  const auto end = std::ptrdiff_t(k);
  dim both = 0;
  for (dim i = 0; i < k; ++i)
    if (std::find(b.begin(), b.begin() + end, a[std::size_t(i)]) != b.begin() + end) ++both;
  return double(both) / double(k);
}

}  // namespace

RowScore score_row(const float* logits, dim vocab, Token target) {
  const Normalizer whole = normalizer_of(logits, vocab);
  if (!whole.finite) return {.finite = false, .nll = 0};
  return {.finite = true, .nll = whole.lse - double(logits[target])};
}

RowDivergence compare_rows(const RowPair& pair, Token target) {
  RowDivergence result;
  const dim common = std::min(pair.model_vocab, pair.base_vocab);
  const double model_target = double(pair.model[target]), base_target = double(pair.base[target]);

  // Padding rows count in each model's own likelihood, but not in the comparison.
  Normalizer model = normalizer_of(pair.model, pair.model_vocab);
  result.nll = model.lse - model_target;
  result.finite = model.finite && scan_row(pair.base, pair.base_vocab).finite;
  if (!result.finite) return result;
  if (pair.model_vocab != common) model = normalizer_of(pair.model, common);

  const float base_max = scan_row(pair.base, common).max;
  const DifferenceSums sums = sum_exp_difference(pair.base, pair.model, common, base_max);
  const double base_lse = double(base_max) + std::log(sums.sum);
  const double base_whole = pair.base_vocab == common ? base_lse : normalizer_of(pair.base, pair.base_vocab).lse;
  result.base_nll = base_whole - base_target;

  // sum p (log p - log q) = sum p (x - y) - (lse x - lse y); rounding may take a tiny one below zero.
  result.kl = std::max(0.0, sums.weighted / sums.sum - (base_lse - model.lse));
  result.delta_p = std::exp(model_target - model.lse) - std::exp(base_target - base_lse);
  const Top top = top_of(pair.model, common), base_top = top_of(pair.base, common);
  result.same_top = top[0] == base_top[0];
  result.top5 = shared(top, base_top, std::min<dim>(5, common));
  result.top10 = shared(top, base_top, std::min<dim>(10, common));
  return result;
}

}  // namespace pith
