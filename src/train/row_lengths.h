// Lengths of a matrix's rows that are learned apart from their directions (DoRA, arXiv:2402.09353):
// row r becomes m_r (W_r + scale B_r A) / |W_r + scale B_r A|, and gradients take the length below as fixed, as the
// paper proposes (its section 4.3).
#pragma once
#include "model/model.h"
#include "train/parameter.h"

namespace pith {

// |W_r + scale B_r A| of each row; a, b null: |W_r|.
std::vector<float> row_lengths(const ModelTensor& t, const Parameter* a = nullptr, const Parameter* b = nullptr,
                               float scale = 0);

class RowLengths {
 public:
  explicit RowLengths(const ModelTensor& t);  // views
  // factors() become m over the rows' lengths; 1 for rows of zeros.
  void publish(const float* m, const Parameter& a, const Parameter& b, float scale);
  const float* factors() const { return factors_.data(); }
  float* gradient() { return gradient_.data(); }  // by the factors, (rows), to be added to
  void clear();
  void add_to(float* of_m) const;
  dim size_bytes() const { return dim(3 * factors_.size() * sizeof(float)); }

 private:
  const ModelTensor& t_;
  std::vector<float> lengths_, factors_, gradient_;
};

}  // namespace pith
