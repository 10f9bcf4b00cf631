// What the methods that learn on one block share: batches of the calibration text, the loss of the block's output and
// its gradients.
#pragma once
#include <vector>

#include "compress/method.h"
#include "model/backward/block_backward.h"

namespace pith {

// A loss of outputs and their targets, (rows, cols) each. Its gradient by the outputs goes to `gradient`, unless null.
using OutputLoss = double (*)(const float* outputs, const float* targets, dim rows, dim cols, float* gradient);
// The mean squared difference.
double mean_square_loss(const float* outputs, const float* targets, dim rows, dim cols, float* gradient);

class BlockTrainer {
 public:
  // Borrows the task. batch: samples of one step.
  BlockTrainer(BlockTask& task, dim batch, OutputLoss loss);

  // Over samples that are the same each time: what "best" means.
  double check();
  // Of a step's samples, drawn by the task's seed and the step's number; adds to the gradients.
  double step(dim number, const BlockGradients& wanted);

 private:
  double run(std::span<const std::size_t> samples, const BlockGradients* wanted);

  BlockTask& task_;
  dim batch_, hidden_size_;
  OutputLoss loss_;
  BlockBackward block_;
  Buffer hidden_, targets_, gradient_;
};

}  // namespace pith
