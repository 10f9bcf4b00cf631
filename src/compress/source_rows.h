// A tensor's values on their way out, as rows of the target in f32.
#pragma once
#include <mutex>

#include "compress/fold/scales.h"
#include "compress/pipeline.h"
#include "model/exchange/lora.h"

namespace pith {

class SourceRows {
 public:
  // Borrows all. Dither is applied where the recipe asks and the tensor is widened from a quantized source; the
  // adapter (or null) is merged, and then the scales (or null) are applied.
  SourceRows(const Model& model, const ExportTensor& out, const Dither& dither, const LoraAdapter* adapter = nullptr,
             const TensorScales* scales = nullptr);

  dim rows() const { return out_.transpose ? in_.weight.cols : in_.weight.rows; }  // of the target
  dim cols() const { return out_.transpose ? in_.weight.rows : in_.weight.cols; }
  const ModelTensor& tensor() const { return in_; }
  bool dithered() const { return dithered_; }
  dim source_row(dim row) const { return out_.rows_from.empty() ? row : out_.rows_from[std::size_t(row)]; }
  std::size_t source_index() const { return out_.source; }  // into Model::tensors()
  bool turned() const { return out_.turn && !in_.turn; }    // on the way
  bool scaled() const { return scales_ && !turned(); }      // unscaling takes rows back
  // What takes the values of a target row back to the source's, (cols); 1 where nothing is scaled.
  void unscaling(dim row, float* factors) const;
  // A few target rows cost little to load. Not so where the tensor is transposed or turned.
  bool by_rows() const { return !out_.transpose && !turned(); }
  // The source's codes go into the target without being decoded: it has the same format, or the same grid (the rows
  // perhaps in another order).
  bool exact() const;

  // Target rows [begin, end) into values (end - begin, cols). Error(input) that names the tensor and the place
  // of the first value that is not finite.
  void load(dim begin, dim end, float* values) const;
  // The same before dither.
  void load_plain(dim begin, dim end, float* values) const;
  // The encoded target rows [begin, end); for exact tensors. Error(input) that names the tensor when a zero point
  // cannot be moved.
  void move_encoded(dim begin, dim end, std::byte* encoded) const;
  // The pages of target rows [begin, end) were read for the last time.
  void release(dim begin, dim end) const;

 private:
  const float* all_turned() const;
  void load_row(dim row, bool dither, float* values) const;
  void load_transposed(dim begin, dim end, bool dither, float* values) const;
  void load_rows(dim begin, dim end, bool dither, float* values) const;
  void decode(dim source_row, bool dither, float* values) const;
  void scale(dim source_row, float* values) const;

  const Model& model_;
  const ModelTensor& in_;
  const ExportTensor& out_;
  const LoraAdapter* adapter_;  // null where it leaves this tensor alone
  const TensorScales* scales_;  // null where nothing is scaled
  bool dithered_;
  std::uint64_t seed_;
  dim source_row_bytes_;
  mutable std::once_flag turn_once_;
  mutable std::vector<float> turned_;  // all rows, once they were asked for
};

// So many rows that decoding or comparing them outweighs waking a thread by far.
dim rows_for_a_thread(dim cols);

// "VALUE at row R, column C" of the first value that is not finite, or empty.
std::string first_not_finite(const float* values, dim rows, dim cols, dim first_row);

}  // namespace pith
