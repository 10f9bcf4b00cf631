// What pruning methods share: a matrix is pruned as a whole before its rows are written, since what stays of a row may
// depend on the others.
#pragma once
#include "compress/prune/pattern.h"
#include "compress/quantize/error_feedback.h"

namespace pith {

// The rows as they will be written.
struct PrunedMatrix : LayerState {
  dim cols = 0;
  std::vector<std::byte> rows;
};
// Method::layer of all pruning methods.
void write_pruned(const LayerTask& task, const Options& options);

// scores (cols) of a row's values, at least 0.
using ScoreRow = std::function<void(dim row, const float* values, float* scores)>;

// Magnitudes, times those of their inputs: `norms`, (cols).
ScoreRow magnitude_scores(std::vector<float> norms);

// What stays of a matrix: (rows, cols), 1 or 0.
std::vector<std::uint8_t> select_values(const ScaledMatrix& matrix, const Pruning& pruning, const ScoreRow& score);

// Rows with zeros where nothing stays, through the format's own encoder. values: (rows, cols).
std::unique_ptr<PrunedMatrix> encode_pruned(const ScaledMatrix& matrix, const std::vector<std::uint8_t>& kept,
                                            const std::function<void(dim row, float* to)>& load);

// Coordinate descent on what stays (quantize/error_feedback.h): towards its exact least squares, in the format.
void polish_rows(const ScaledMatrix& matrix, const Feedback& feedback, const std::vector<std::uint8_t>& kept,
                 int sweeps, PrunedMatrix& rows);

// Root mean squares of the inputs, (cols); 1 where nothing was measured.
std::vector<float> input_norms(const ScaledMatrix& matrix);
// For the report, where nothing was measured.
std::string note_on_inputs(const ScaledMatrix& matrix);

}  // namespace pith
