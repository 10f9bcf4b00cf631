// Matrices that are rounded between rotations.
#pragma once
#include "compress/prepare.h"

namespace pith {

// By Model::tensors() index: the seed of the rotations, where the matrix's method turns it. The formats are decided.
std::vector<std::optional<std::uint64_t>> choose_turns(const Model& model, const Prepared& prepared);

// Turned matrices can be copied, nothing else. Error(input)
void check_turned_source(const Model& model, const Recipe& recipe);

// What the turned matrix reads: squares and second moments.
InputStats turned_stats(const InputStats& stats, const Turn& turn);

}  // namespace pith
