// Rows of a linear layer's input, rounded as an ActPlan says.
#pragma once
#include <vector>

#include "ops/act/act_codec.h"

namespace pith {

// What stands for code 1 in a row of x (n): the layer's scale where the plan has it fixed, else the row's own. 0 where
// all values are 0 or outliers; NaN where one is not finite, so that it is not lost.
float act_scale_of(const ActPlan& plan, float fixed_scale, const float* x, dim n);

// x rounded, outliers as they are, all in f32; out: (n, cols), may be x.
void round_act_rows(const ActPlan& plan, float fixed_scale, const float* x, dim n, dim cols, float* out);

// The same as integer codes, in columns of `group`; room for `stride` codes a row, those beyond cols are 0.
struct ActCodes {
  std::int8_t* codes = nullptr;  // (n, stride)
  std::int32_t* sums = nullptr;  // (n, groups): of the codes
  float* scales = nullptr;       // (n)
};
void encode_act_rows(const ActPlan& plan, float fixed_scale, const float* x, dim n, dim cols, dim group, dim stride,
                     const ActCodes& out);

// The values that stay as they are: (row, column) ascending.
struct ActOutliers {
  std::vector<dim> first;  // of each row, and the end
  std::vector<dim> column;
  std::vector<float> value;
  bool empty() const { return column.empty(); }
};
ActOutliers act_outliers(const ActPlan& plan, const float* x, dim n, dim cols);

}  // namespace pith
