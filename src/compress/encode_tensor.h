// One tensor's way from the source to encoded rows, a panel of rows at a time.
#pragma once
#include "compress/calibrate/fisher.h"
#include "compress/source_rows.h"
#include "core/buffer.h"
#include "kernels/rows.h"

namespace pith {

struct TensorSums : ErrorSums {
  dim zeros = 0;  // values that are 0 as written
};

struct EncodeTask {
  const SourceRows& source;
  const Format& format;
  const Method& method;  // for quantized formats; dense ones are only rounded
  const Options& options;
  const float* importance = nullptr;       // (cols) or null
  const LayerState* state = nullptr;       // what the method made of the inputs, or null
  OutlierShape outliers = {};              // that the method keeps apart
  const FisherDiagonal* fisher = nullptr;  // where the method wants it of this tensor
  const std::byte* finished = nullptr;     // all rows, encoded already (compress/reconstruct), or null
};

// Holds the buffers; one for a whole run.
class TensorEncoder {
 public:
  // So many rows at once that they would take no more than 64 MiB in f32 (but at least one).
  static dim panel_rows(const EncodeTask& task);
  // Bytes of the buffers that this tensor needs.
  static dim working_bytes(const EncodeTask& task);

  // Target rows [begin, end), at most panel_rows, into out (end - begin rows); adds to sums, row after row.
  // Error(input) when a source value is not finite, or is not any more after encoding.
  void encode(const EncodeTask& task, dim begin, dim end, std::byte* out, TensorSums& sums);
  // Of the rows encoded last, as they are stored.
  struct Outliers {
    std::span<const std::byte> columns, values;
  };
  Outliers outliers() const { return {std::span(columns_stored_), std::span(values_stored_)}; }

 private:
  template <class Load>
  static const float* load(Buffer& into, dim values, const Load& load) {
    into.reserve(values * dim(sizeof(float)));
    load(into.as<float>());
    return into.as<float>();
  }

  void store_outliers(const EncodeTask& task, dim rows);

  std::vector<std::int32_t> columns_;  // (rows, outliers) of a panel
  std::vector<float> kept_;
  std::vector<std::byte> columns_stored_, values_stored_;
  // A whole panel, for transposed tensors only: others are read, encoded and measured a few rows at a time.
  Buffer values_;  // what is encoded
  Buffer plain_;   // the same without noise, where noise was added
};

}  // namespace pith
