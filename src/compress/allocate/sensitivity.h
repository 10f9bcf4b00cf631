// How much the model's predictions suffer from errors in its matrices: measured, not assumed.
#pragma once
#include <map>
#include <span>
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "core/progress.h"

namespace pith {

struct Candidate {
  const Format* format = nullptr;
  dim bytes = 0;     // of the whole matrix
  double error = 0;  // sum over its values of (w - w')^2 times the input's mean square, rounded to nearest
};

// A matrix that a format is sought for, with what each candidate would do to it.
struct Sensitivity {
  std::size_t tensor = 0;  // into Model::tensors()
  std::vector<Candidate> candidates;
  double divergence_per_error = 0;  // mean KL from the original per unit of error, from a trial of its group
};

// Matrices are alike by role and stretch of layers, a quarter of them; -1: outside the blocks.
dim stretch_of(const Model& model, dim layer);

struct SensitivityOptions {
  std::vector<std::vector<const Format*>> formats;  // for each of `tensors`
  double probe_bits = 4;                            // trials take the candidate nearest to it
  dim rows = 48;                                    // of a matrix that candidates are tried on
};

// Inputs' mean squares come from running all sequences through the original model. Groups are the matrices of one role
// in a stretch of layers; each is rounded to nearest alone, and the divergence measured on the first sequences, about
// a thousand tokens.
std::vector<Sensitivity> measure_sensitivity(const Model& model, std::span<const std::size_t> tensors,
                                             const CalibrationTokens& tokens, const SensitivityOptions& options,
                                             Progress& progress);

}  // namespace pith
