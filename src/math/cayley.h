// Gradient steps among orthogonal matrices by the Cayley transform (Li, Li, Todorovic, "Efficient Riemannian
// Optimization on the Stiefel Manifold via the Cayley Transform", arXiv:2002.01113), for square ones.
#pragma once
#include <vector>

#include "core/base.h"

namespace pith {

class CayleyDescent {
 public:
  explicit CayleyDescent(dim n, double momentum = 0.9);     // begins at the identity
  const std::vector<double>& matrix() const { return x_; }  // (n, n), orthogonal up to rounding
  // Goes down by the gradient of a loss by the matrix, (n, n); `rate` is cut where the step would not converge.
  void step(const std::vector<double>& gradient, double rate);

 private:
  void make_orthogonal();
  dim n_;
  double beta_;
  std::vector<double> x_, momentum_;
};

}  // namespace pith
