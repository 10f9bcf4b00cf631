// Walks a model block by block with the calibration text: what a block's matrices read is gathered from the outputs of
// the blocks as they were compressed, so that later blocks answer for the errors of earlier ones.
#pragma once
#include <deque>
#include <map>

#include "compress/calibrate/calibration_text.h"
#include "compress/calibrate/hidden_states.h"
#include "compress/calibrate/stats_collector.h"
#include "core/progress.h"
#include "model/block_forward.h"
#include "model/export.h"

namespace pith {

struct CalibratorOptions {
  bool with_moments = false;
  bool compressed_prefix = true;     // false: each block sees what the original blocks before it give
  dim max_ram_bytes = dim(1) << 30;  // of hidden states; beyond it they go to a file in scratch_folder
  std::filesystem::path scratch_folder = ".";
};

class Calibrator {
 public:
  Calibrator(const Model& model, CalibrationTokens tokens, const CalibratorOptions& options);

  // Runs `layer` as it is on the outputs of the blocks before and gathers; -1, after the last: the head.
  void gather(dim layer, Progress& progress);
  // Again for the matrices of one stage (see input_stage), with what was taken of the block in its place.
  void gather_stage(dim layer, int stage, Progress& progress);
  // Of the matrix, or null: nothing came by, as with an expert that no token was sent to.
  const InputStats* find(const ModelTensor& t) const;
  // What was gathered for a block's matrix becomes what it reads once its input is divided by these.
  void divide_inputs(const ModelTensor& t, std::span<const float> factors);
  // Rows [begin, ...) of a block's tensor as they were written; the tensor's rows are those of the target. Norms and
  // biases, too.
  void take(const ExportTensor& t, dim begin, std::span<const std::byte> rows);
  // The outliers of the same rows; before them, the rows.
  void take_outliers(const ExportTensor& t, dim begin, std::span<const std::byte> columns,
                     std::span<const std::byte> values);
  // Runs `layer` as it is now, with the weights that were taken, and forgets them.
  void advance(dim layer, Progress& progress);

  std::span<const std::string> notes() const { return notes_; }
  dim tokens() const { return token_count_; }
  static dim working_bytes(const Model& model, const CalibrationChoice& choice, const CalibratorOptions& options);

 private:
  Block& with_taken(dim layer);
  Encoded& compressed(const ExportTensor& t);
  void take_vector(const ExportTensor& t, std::span<const std::byte> row);
  void put_vector(Block& block, std::size_t source, const float* values) const;
  template <class Each>
  void for_sequences(std::string_view doing, Progress& progress, const Each& each);

  const Model& model_;
  CalibratorOptions options_;
  std::vector<dim> length_;  // of each sequence
  std::vector<std::string> notes_;
  dim token_count_ = 0;
  std::vector<Block> blocks_;            // the model's, and compressed ones while they run
  std::map<std::size_t, Weight> taken_;  // by Model::tensors() index
  std::map<std::size_t, std::vector<float>> taken_vectors_;
  BlockForward forward_;
  StatsCollector stats_;
  HiddenStates hidden_;
  Buffer sequence_;
};

}  // namespace pith
