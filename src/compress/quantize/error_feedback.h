// Rounding column by column, where each column makes up for the errors of those before it. With H = X^T X of the
// inputs, the damage (w - w') H (w - w')^T of a row is the sum over columns of cost[k] * (t_k - w'_k)^2, where t_k is
// w_k plus what the errors before ask for: the best place for w'_k is the code nearest to t_k. This is GPTQ
// (arXiv:2210.17323) without its inverse, and LDLQ of QuIP (arXiv:2307.13304) counted from the other end.
#pragma once
#include "compress/method.h"
#include "core/buffer.h"

namespace pith {

struct FeedbackOptions {
  double damping = 0.01;                    // times the mean of H's diagonal, added to it
  bool act_order = true;                    // columns with large inputs first
  std::span<const std::int32_t> last = {};  // columns that come after all others, in this order
};

struct Feedback : LayerState {
  dim n = 0;
  std::vector<dim> order;       // order[k]: the column that is rounded k-th
  std::vector<float> cost;      // (n) by column: what an error there costs when later columns make up for it
  std::vector<float> alone;     // (n) by column: H's diagonal, what it costs when they do not
  std::vector<float> in_group;  // (n) by column: what it costs when only columns after its 8 neighbours make up for it
  Buffer coefficients;    // groups of 16 places k, each (16 g + 16, 16) of f32: [j, k] how an error at j moves t_k
  Buffer h;               // (n, n) of f32: H with damping, by column
  bool permuted = false;  // order is not 0, 1, 2 ...
  const float* group(dim g) const { return coefficients.as<float>() + 16 * 16 * g * (g + 1) / 2; }
};

// Raises the damping tenfold while H cannot be factored, and notes it. Error(input) when H is not finite.
std::unique_ptr<Feedback> make_feedback(const SecondMoment& moment, const FeedbackOptions& options);

// Fills task.out. Ranges are fitted to the weights as they are when columns come in another order than the format's
// blocks, else to each block as the errors before left it. Formats whose values share codes are rounded group by
// group, with feedback between groups. Where task.outliers are kept apart, task.outlier_columns are given: such a value
// becomes what the errors before ask for, as near as float16 has it, its block's range is fitted without it, and what
// is to be added goes to task.outlier_values; not for formats whose values share codes. Weights of 0, which pruning
// left, stay 0 where the format has it and codes are not shared.
void round_with_feedback(const Feedback& feedback, const LayerTask& task, const RangeSearch& search);

// Coordinate descent (QuantEase, arXiv:2309.01885): moves each value in turn to the code that is best given all
// others; never raises a row's damage. task.out holds the rows' codes, task.outlier_values what is added. Weights of 0
// are left alone, and those where `kept`, (rows, cols) or null, is 0.
void polish(const Feedback& feedback, const LayerTask& task, int sweeps, const std::uint8_t* kept = nullptr);

}  // namespace pith
