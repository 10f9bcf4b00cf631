// What the methods of low-rank factorization share: the calibration text's way through the blocks, ranks, factors.
#pragma once
#include <functional>
#include <span>

#include "compress/lowrank/weighted_low_rank.h"
#include "compress/method.h"
#include "io/scratch.h"

namespace pith {

struct FactorizeCall {
  const ReshapeTask& task;
  const Options& options;  // factorize_options() are among them
  bool moments = false;    // `weigh` wants the inputs'
  // What counts in this matrix of Model::tensors(); stats: of its inputs, null where nothing was measured.
  std::function<Weighing(std::size_t tensor, const InputStats* stats)> weigh;
  // Makes the factors itself, where it is not empty; then `weigh` is only for spectra.
  std::function<LowRank(std::size_t tensor, const float* w, dim rows, dim cols, dim rank, const InputStats* stats)>
      factors = {};
  bool biases = false;  // what the factors lose of the outputs' mean (Weighing::mean) becomes a bias
};

// f32 values that `scratch` holds from now on.
const float* keep_values(Scratch& scratch, std::span<const float> values);

// Options `ratio`, `where`, `allocation`, `multiple`, `prefix`; with refits also `refit`.
std::vector<OptionSpec> factorize_options(bool refits);

// The model with factors in place of the matrices that pay. Error(input) where no matrix is chosen, or some cannot be
// factored.
Model factorize(const FactorizeCall& call);

}  // namespace pith
