// Ranges that are shrunk where the matrix's output gains by it.
#pragma once
#include "compress/method.h"
#include "core/buffer.h"

namespace pith {

struct ClipState : LayerState {
  dim cols = 0, block = 0;
  std::vector<float> alone;  // (cols) mean squared input
  Buffer moments;            // for each block of the format (block, block) of f32: the mean of x^T x
};

// Null where blocks are too long for it, or are whole rows.
std::unique_ptr<ClipState> make_clip(const InputStats& stats, const Format& format);

// Fills task.out: each block of each row cut to 1 - i/20 of its largest magnitude, i = 0 ... 9, where that lessens the
// mean squared error of the block's part of the output, e (x^T x) e^T. i = 0 is `round_to_nearest`.
void round_with_clip(const ClipState& clip, const LayerTask& task, const RangeSearch& range);

}  // namespace pith
