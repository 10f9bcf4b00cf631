// Writes a model's tensors into a stage, group by group, calibrating between blocks where the method asks for it.
#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compress/calibrate/calibrator.h"
#include "compress/encode_tensor.h"
#include "compress/fold/scales.h"
#include "compress/output_hash.h"
#include "compress/prepare.h"
#include "compress/reconstruct/finish_block.h"
#include "io/stage.h"

namespace pith {

struct Written {
  TensorSums sums;
  dim tokens = -1;  // that calibration sent to the matrix; -1: there was none
  std::string note;
};

// What the run keeps for a resumed one: the encoded rows of all blocks, in the plan's order.
dim scratch_bytes(const Prepared& prepared);

// All borrowed.
struct WriterCall {
  const Model& model;
  const Recipe& recipe;
  const Prepared& prepared;
  Stage& stage;
  OutputHash& hash;
  Calibrator* calibrator;        // null for methods that see no data
  const FisherDiagonal* fisher;  // measured, or null
  Progress& progress;
};

class TensorWriter {
 public:
  explicit TensorWriter(const WriterCall& call);
  std::vector<Written> write_all();  // one entry per tensor of the plan

 private:
  struct Group {  // tensors that are journalled together, as indices into ExportPlan::tensors
    std::size_t begin = 0, end = 0;
    dim layer = -1;
  };
  static std::vector<Group> groups_of(const Prepared& prepared);
  void write(const Group& group);
  bool take_recorded(const Group& group, const std::string& piece);
  void record();
  Written write(std::size_t index);
  const LayerState* state_of(const ExportTensor& t);
  std::unique_ptr<LayerState> matrix_state(const ExportTensor& t, const SourceRows& source);
  const float* importance_of(const ExportTensor& t);
  const float* as_scaled(const float* given, const TensorScales* scales);
  const TensorScales* scales_of(const ExportTensor& t) const;
  TensorSums write_panels(const ExportTensor& t, const EncodeTask& task);
  TensorSums write_whole(const ExportTensor& t, const EncodeTask& task);
  void write_act_scale(const ExportTensor& t);
  void keep(const ExportTensor& t, dim begin, std::span<const std::byte> rows);
  void write_outliers(const ExportTensor& t, dim begin);
  void enter(dim layer);
  void enter_stage(const ExportTensor& t);
  void finish(dim layer);
  void round_whole(std::size_t index);
  EncodeTask task_of(const ExportTensor& t, const SourceRows& source, const LayerState* own);
  void leave(dim layer);
  const std::string& file_of(const Slot& slot) const { return prepared_.plan.files.at(slot.file).name; }
  template <class Each>
  void for_panels(const EncodeTask& task, const Each& each);

  const Model& model_;
  const Recipe& recipe_;
  const Prepared& prepared_;
  Stage& stage_;
  OutputHash& hash_;
  Calibrator* calibrator_;
  const FisherDiagonal* fisher_;
  Progress& progress_;
  TensorEncoder encoder_;
  Buffer encoded_;
  std::vector<Written> written_;        // of all tensors so far
  std::vector<Stage::Piece> finished_;  // and not recorded yet
  std::chrono::steady_clock::time_point last_record_ = std::chrono::steady_clock::now();
  std::optional<dim> gathered_;  // the layer whose inputs were gathered
  int input_stage_ = 0;          // of that layer
  std::map<std::tuple<const InputStats*, const Format*, const MethodStep*>, std::unique_ptr<LayerState>>
      states_;                               // of that layer
  BlockScales scales_;                       // of that layer
  std::vector<std::vector<float>> squares_;  // of that layer, for as long as it is written
  Finished finished_block_;                  // of that layer
  std::vector<dim> scratch_at_;              // by tensor of the plan
  // File and offset below which tensors 0 to i have all their bytes.
  std::vector<std::pair<std::size_t, dim>> settled_;
};

}  // namespace pith
