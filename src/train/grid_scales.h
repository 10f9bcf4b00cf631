// A quantized matrix whose codes stay while the scales of its groups are learned (PEQA, arXiv:2305.14152).
#pragma once
#include "core/weight.h"
#include "formats/grid.h"
#include "model/model.h"

namespace pith {

// Whether its scales can be learned: a plain matrix of a block on a grid (formats/grid.h).
bool has_grid_scales(const ModelTensor& t);
dim grid_groups(const ModelTensor& t);  // of a row

// The matrix as it is stored with scales times `factors`, (rows, groups), each rounded to float16: (rows, row bytes).
Buffer scaled_rows(const ModelTensor& t, const float* factors);

class GridScales {
 public:
  // Views the tensor. computed: f32 or bf16.
  GridScales(const ModelTensor& t, const Format& computed);
  // The matrix that is multiplied, as it is stored with these factors.
  void publish(const float* factors);
  const Encoded& weight() const { return weight_; }
  // The gradient of that matrix, (rows, cols), to be added to; it is straight through the rounding of scales.
  float* gradient() { return gradient_.as<float>(); }
  void clear();
  void add_to(float* of_factors) const;  // (rows, groups)
  dim size_bytes() const { return weight_.owned.size_bytes() + gradient_.size_bytes(); }

 private:
  const ModelTensor& t_;
  Encoded weight_;
  Buffer gradient_;
};

}  // namespace pith
