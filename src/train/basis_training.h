// Learns the bases that QuaRot draws at random: of the residual stream, and of the values of each block's heads, by the
// loss of the model whose linear layers round their inputs (SpinQuant, arXiv:2405.16406; its R1 and R2).
#pragma once
#include <span>
#include <vector>

#include "core/progress.h"
#include "model/rotate.h"
#include "ops/act/act_codec.h"

namespace pith {

struct BasisChoice {
  RotationChoice start = {};  // what it begins with
  ActSpec inputs = {};        // how linear layers round their inputs meanwhile; weights stay as they are
  dim steps = 100;
  dim batch = 4;       // sequences of a step, taken in turn
  double rate = 0.02;  // falls along a cosine
  bool bf16 = true;    // as TrainChoice
};

struct LearnedBasis {
  RotationChoice rotation;     // of the model itself, with the bases
  std::vector<double> losses;  // nats a token, before each step
  std::vector<double>
      held_back;  // of sequences that are not learned from: before the first step, then eight times or so
};

// Next-token loss on the sequences, each of two or more tokens. An eighth of them, if there are eight, is held back,
// and the bases are those of the check that was best there: with little text a step may do harm. Memory: four times the
// model in f32, about. Error(input) as rotated_model and Trainable.
LearnedBasis learn_basis(const Model& model, std::span<const std::vector<Token>> sequences, const BasisChoice& choice,
                         Progress& progress = no_progress());

}  // namespace pith
