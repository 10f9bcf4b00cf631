// Values that are learned, with what a step needs of them.
#pragma once
#include "train/optimizer/optimizer.h"

namespace pith {

enum class ParameterKind {
  matrix,
  vector,
  low_rank_a,
  low_rank_b,
  scale,      // factors of a quantized matrix's scales, from 1
  magnitude,  // lengths of rows (DoRA)
  filter      // an objective's own matrix
};

struct Parameter {
  std::size_t tensor = 0;  // into Model::tensors(); of a filter nothing
  ParameterKind kind = ParameterKind::matrix;
  dim rows = 0, cols = 0;
  Buffer values, gradient;  // (rows, cols) each
  Moments moments;

  Parameter() = default;
  Parameter(std::size_t of, ParameterKind what, dim row_count, dim col_count, Optimizer optimizer = Optimizer::adamw)
      : tensor(of),
        kind(what),
        rows(row_count),
        cols(col_count),
        values(size() * dim(sizeof(float))),
        gradient(size() * dim(sizeof(float))),
        moments(moments_of(optimizer, size())) {}
  bool decays() const {
    return kind == ParameterKind::matrix || kind == ParameterKind::low_rank_a || kind == ParameterKind::low_rank_b;
  }
  dim size() const { return rows * cols; }
  dim size_bytes() const { return values.size_bytes() + gradient.size_bytes() + moments.size_bytes(); }
  void clear_gradient();  // threads
};

}  // namespace pith
