// Walks a model block by block with the calibration text: what a block's matrices read is gathered from the outputs of
// the blocks as they were compressed, so that later blocks answer for the errors of earlier ones.
#pragma once
#include <deque>
#include <map>

#include "compress/calibrate/calibration_text.h"
#include "compress/calibrate/hidden_states.h"
#include "compress/calibrate/stats_collector.h"
#include "core/group.h"
#include "core/progress.h"
#include "model/block_forward.h"
#include "model/export.h"

namespace pith {

struct CalibratorOptions {
  bool with_moments = false;
  bool with_targets = false;         // keep what the original blocks give to the original text, too
  bool compressed_prefix = true;     // false: each block sees what the original blocks before it give
  dim max_ram_bytes = dim(1) << 30;  // of hidden states; beyond it they go to a file in scratch_folder
  std::filesystem::path scratch_folder = ".";
  ActSpec activations = {};  // of compressed matrices
  Group* group = nullptr;    // processes that run a part of the text each; null: this one alone
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
  // The fixed scale of a matrix's input: its largest value gets the largest code. The source's own where nothing came
  // by.
  float act_scale(const ModelTensor& t) const;
  void take_act_scale(std::size_t source, float scale) { taken_act_scales_[source] = scale; }
  // Runs `layer` as it is now, with the weights that were taken, and forgets them.
  void advance(dim layer, Progress& progress);

  // For methods that see a whole block, between gather and advance, with_targets and the compressed prefix:
  // The network with this block as it was taken so far, until forget_taken.
  Network with_taken(dim layer);
  Block& block(dim layer) { return blocks_[std::size_t(layer)]; }
  Encoded* taken(
      std::size_t tensor);  // by Model::tensors() index: rows in the source's order; null: was not taken, or is a sum
  void forget_taken(dim layer);
  std::span<const dim> lengths() const { return length_; }
  // Of a sequence, (length, hidden): what the block reads, and what the original block gives after original ones. All
  // processes of a group load the same.
  void load_input(std::size_t sequence, float* to) const { load(hidden_, sequence, to); }
  void load_target(std::size_t sequence, float* to) const { load(*originals_, sequence, to); }

  std::span<const std::string> notes() const { return notes_; }
  dim tokens() const { return token_count_; }
  static dim working_bytes(const Model& model, const CalibrationChoice& choice, const CalibratorOptions& options);

 private:
  Encoded& compressed(const ExportTensor& t);
  Block& put_taken(dim layer);
  void put_matrix(Linear& linear, std::size_t source, const Weight& weight) const;
  void give_to_later_blocks(dim layer);
  void advance_originals(dim layer, Progress& progress);
  void take_vector(const ExportTensor& t, std::span<const std::byte> row);
  void put_vector(Block& block, std::size_t source, const float* values) const;
  void load(const HiddenStates& states, std::size_t sequence, float* to) const;
  std::size_t pieces() const;  // of the text, of which each process runs every size()-th
  std::size_t begin_of(std::size_t piece) const;
  int owner_of(std::size_t sequence) const;
  bool is_own(std::size_t sequence) const { return owner_of(sequence) == group_.rank(); }
  std::vector<dim> own_values(dim hidden) const;  // of each sequence; 0 of others'
  template <class Each>
  void for_sequences(std::size_t piece, std::string_view doing, Progress& progress, const Each& each);
  // What `each` shows piece_ of all pieces, into stats_.
  template <class Each>
  void add_up(dim layer, std::string_view doing, Progress& progress, const Each& each);

  const Model& model_;
  CalibratorOptions options_;
  Group& group_;
  std::vector<dim> length_;  // of each sequence
  std::vector<std::string> notes_;
  dim token_count_ = 0;
  std::vector<Block> known_;              // the model's, with compressed matrices that earlier blocks share with them
  std::vector<Block> blocks_;             // the same, and compressed ones while they run
  std::map<std::size_t, Weight> taken_;   // by Model::tensors() index
  std::map<std::size_t, Weight> shared_;  // of them, what later blocks read
  std::map<std::size_t, std::vector<float>> taken_vectors_;
  std::map<std::size_t, float> taken_act_scales_;
  std::map<std::size_t, std::shared_ptr<const Turn>> taken_turns_;
  BlockForward forward_;
  StatsCollector stats_, piece_;  // of all the text; of a piece of it
  HiddenStates hidden_;
  std::optional<HiddenStates> originals_;
  dim originals_after_ = -1;  // the block that originals_ have passed
  Buffer sequence_;
};

}  // namespace pith
