#include "ops/act/act_rows.h"

#include <algorithm>
#include <cmath>

#include "formats/small_floats/small_float.h"
#include "kernels/int8_product.h"
#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

namespace {

// Integer codes, or E4M3 ones, back in f32.
void round_row(const ActPlan& plan, float scale, const float* x, dim n, std::int8_t* codes, float* out) {
  if (plan.codes == ActPlan::Codes::e4m3) {
    for (dim i = 0; i < n; ++i) out[i] = E4M3::value(E4M3::code(x[i] / scale)) * scale;
    return;
  }
  int8_codes(x, n, scale, int(plan.top()), plan.outlier, codes);
  for (dim i = 0; i < n; ++i) out[i] = std::fabs(x[i]) < plan.outlier ? float(codes[i]) * scale : x[i];
}

}  // namespace

float act_scale_of(const ActPlan& plan, float fixed_scale, const float* x, dim n) {
  if (!all_finite(x, n)) return std::numeric_limits<float>::quiet_NaN();
  if (plan.fixed) return fixed_scale;
  return largest_below(x, n, plan.outlier) * plan.clip / plan.top();
}

void round_act_rows(const ActPlan& plan, float fixed_scale, const float* x, dim n, dim cols, float* out) {
  parallel_ranges(n, grain_of(4 * cols), [&](dim begin, dim end) {
    std::vector<std::int8_t> codes(static_cast<std::size_t>(cols));
    for (dim i = begin; i < end; ++i) {
      const float* from = x + i * cols;
      float* to = out + i * cols;
      const float scale = act_scale_of(plan, fixed_scale, from, cols);
      if (scale > 0)
        round_row(plan, scale, from, cols, codes.data(), to);
      else  // all of them 0, outliers, or with one that is not finite
        for (dim c = 0; c < cols; ++c) to[c] = std::isnan(scale) || std::fabs(from[c]) >= plan.outlier ? from[c] : 0;
    }
  });
}

void encode_act_rows(const ActPlan& plan, float fixed_scale, const float* x, dim n, dim cols, dim group, dim stride,
                     const ActCodes& out) {
  const dim groups = stride / group;
  parallel_ranges(n, grain_of(4 * cols), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      std::int8_t* codes = out.codes + i * stride;
      const float scale = act_scale_of(plan, fixed_scale, x + i * cols, cols);
      out.scales[i] = scale;
      std::fill_n(codes, stride, std::int8_t(0));
      std::fill_n(out.sums + i * groups, groups, 0);
      if (!(scale > 0)) continue;
      for (dim g = 0; g < groups; ++g)
        out.sums[i * groups + g] = int8_codes(x + i * cols + g * group, std::min(group, cols - g * group), scale,
                                              int(plan.top()), plan.outlier, codes + g * group);
    }
  });
}

ActOutliers act_outliers(const ActPlan& plan, const float* x, dim n, dim cols) {
  ActOutliers out;
  out.first.push_back(0);
  for (dim i = 0; i < n; ++i) {
    for (dim c = 0; c < cols && plan.outlier < std::numeric_limits<float>::infinity(); ++c)
      if (std::fabs(x[i * cols + c]) >= plan.outlier) {
        out.column.push_back(c);
        out.value.push_back(x[i * cols + c]);
      }
    out.first.push_back(dim(out.column.size()));
  }
  return out;
}

}  // namespace pith
