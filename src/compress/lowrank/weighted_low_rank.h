// The matrix of low rank that is nearest to another in what it does: with D what each output counts and R R^T what the
// inputs are like, B A has the least || D (W - B A) R ||_F over all of its rank. One solver for plain SVD, FWSVD
// (arXiv:2207.00112: D from gradients), ASVD (arXiv:2312.05821: R diagonal), SVD-LLM (arXiv:2403.07378: R R^T the
// inputs' second moments) and LoRC (ZeroQuant-V2, arXiv:2303.08302: W an error).
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "math/second_moment.h"

namespace pith {

struct LowRank {
  dim rank = 0;
  std::vector<float> b;          // (rows, rank)
  std::vector<float> a;          // (rank, cols)
  double before = 0, after = 0;  // || D W R ||^2, and what B A leaves of it
};

struct Weighing {
  std::vector<double> rows = {};         // (rows) D's diagonal, above 0; empty: 1
  std::vector<double> cols = {};         // (cols) R's diagonal, above 0; empty: 1
  const SecondMoment* moment = nullptr;  // instead of cols: R R^T, a mean over its rows
  std::vector<double> mean = {};         // (cols) of the inputs: their spread around it counts, not the moments alone
  double damping = 0;  // of its mean diagonal, added to the diagonal: few inputs are not all there are
};

class WeightedSvd {
 public:
  // w: (rows, cols). most: where only so many values will be asked for, at most min(rows, cols) of them; a small part
  // of a large matrix's is found by random projections. Error(input) where weights or moments are not finite.
  WeightedSvd(const float* w, dim rows, dim cols, Weighing weighing, std::optional<dim> most = {});
  std::span<const double> values() const { return values_; }  // of D W R, `most` of them, from the largest down
  double tail(dim rank) const;                                // the squares of the values after the first `rank`
  LowRank factors(dim rank) const;                            // rank: 1 to the number of values

 private:
  std::vector<double> square();  // the smaller one of D W R; fills root_w_
  void find_values(std::vector<double> square, dim most);
  std::vector<double> left_vectors(dim rank) const;  // (rank, rows)
  dim rows_, cols_;
  Weighing weighing_;
  std::vector<double> w_;        // D W
  std::vector<double> root_w_;   // D W R, of a tall matrix
  std::vector<double> vectors_;  // of the smaller square of D W R, a row for each value
  std::vector<double> values_;
  double all_ = 0;  // the squares of all values
};

// B such that B A is nearest to w (rows, cols) with the A there is. Error(input) when the moments are not finite.
void refit(const float* w, dim rows, dim cols, const SecondMoment& moment, LowRank& factors);
// tr((W - B A) H (W - B A)^T), H the mean of the moments. b, a: as in LowRank.
double damage(const float* w, dim rows, dim cols, const SecondMoment& moment, const LowRank& factors);

constexpr double kAdapterDamping = 0.01;
// For adapters: of an error e (rows, cols), with that damping. moment: of size cols, or null: all inputs count alike.
// rank: at most min(rows, cols) is used.
LowRank weighted_low_rank(const float* e, dim rows, dim cols, const SecondMoment* moment, dim rank);

}  // namespace pith
