// What calibration tokens show of the branches of each block: of what their last matrices read (the heads' values, the
// neurons' outputs), and how far the block turns the residual stream.
#pragma once
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "core/progress.h"

namespace pith {

struct Channels {  // of an input, in double
  dim tokens = 0;
  std::vector<double> sum, squares;  // (cols) of x and x^2
  double mean(dim c) const { return sum[std::size_t(c)] / double(tokens); }
  double variance(dim c) const;
  double norm(dim c) const;  // sqrt(sum of x^2)
};

struct BlockView {
  Channels attn, ffn;    // what attn_o and ffn_down read
  double influence = 0;  // 1 - the mean cosine of the residual stream before and after (ShortGPT, arXiv:2403.03853)
};

std::vector<BlockView> view_blocks(const Model& model, const CalibrationTokens& tokens, Progress& progress);

}  // namespace pith
