// The diagonal of the empirical Fisher information of matrices, up to a factor: for each weight the sum, over the
// calibration tokens, of the squared part that a token has in the gradient of its sequence's cross-entropy. With
// tokens taken as independent a sequence is as many samples as it has tokens, so few sequences tell much.
#pragma once
#include <map>
#include <span>

#include "compress/calibrate/calibration_text.h"
#include "core/progress.h"
#include "io/stage.h"

namespace pith {

// Kept in a scratch file of the stage, f32, so that memory holds one block's gradients at a time.
class FisherDiagonal {
 public:
  // Borrows all. tensors: into Model::tensors(), matrices of blocks that have_gradient. A resumed stage that recorded
  // the measurement has it already.
  FisherDiagonal(const Model& model, std::span<const std::size_t> tensors, Stage& stage);
  // Error(input) for mixtures of experts and where values are not finite.
  void measure(const CalibrationTokens& tokens, Progress& progress);
  bool has(std::size_t tensor) const { return at_.count(tensor) > 0; }
  void load(std::size_t tensor, dim row, float* to) const;  // (cols); row: of the source; from any thread
  static bool has_gradient(const ModelTensor& t);
  static dim scratch_bytes(const Model& model, std::span<const std::size_t> tensors);
  // Squares and sums of the largest block, and what running backward through the model takes.
  static dim working_bytes(const Model& model, std::span<const std::size_t> tensors, dim length);

 private:
  void add(std::size_t tensor, const float* squares, bool first);

  const Model& model_;
  Stage& stage_;
  std::map<std::size_t, dim> at_;  // bytes into the scratch file
  Buffer sums_;
};

}  // namespace pith
