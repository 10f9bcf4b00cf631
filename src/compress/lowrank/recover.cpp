#include "compress/lowrank/recover.h"

#include <fmt/format.h>

#include <algorithm>

#include "compress/calibrate/calibrator.h"
#include "compress/lowrank/weighted_low_rank.h"
#include "core/error.h"
#include "core/parallel.h"
#include "io/printable.h"
#include "model/arch.h"
#include "model/export/parts.h"
#include "model/shared.h"

namespace pith {

namespace {

// Row r of the compressed matrix is row rows[r] of the original; empty: r.
std::vector<dim> rows_of(const Model& original, const Model& compressed, const ModelTensor& t) {
  if (original.is_gguf() == compressed.is_gguf()) return {};
  const Config& c = original.config();
  for (const TensorName& entry : original.arch().tensors) {
    if (entry.role != t.role || entry.part != t.part) continue;
    if (entry.rope_rows)
      return rope_row_order(t.role == Role::attn_q ? c.heads : c.kv_heads, c.head_dim, compressed.is_gguf());
    if (entry.by_head) return qkv_row_order(c.heads, c.kv_heads, c.head_dim, compressed.is_gguf());
  }
  return {};
}

// The original's rows, in the order of the compressed matrix, less that matrix.
std::vector<float> error_of(const ModelTensor& from, const ModelTensor& t, const std::vector<dim>& rows) {
  const dim cols = t.weight.cols;
  std::vector<float> e(std::size_t(t.weight.rows * cols));
  parallel_for(
      t.weight.rows,
      [&](dim r) {
        std::vector<float> now(static_cast<std::size_t>(cols));
        float* to = e.data() + r * cols;
        decode_row(from, rows.empty() ? r : rows[std::size_t(r)], to);
        decode_row(t, r, now.data());
        for (dim c = 0; c < cols; ++c) to[c] -= now[std::size_t(c)];
      },
      16);
  return e;
}

// More columns of zeros for B and rows of zeros for A.
AdapterPart part_of(std::size_t tensor, const LowRank& low, dim rows, dim cols, dim rank) {
  AdapterPart part{tensor, rank, low.a, {}};
  part.a.resize(std::size_t(rank * cols), 0.0f);
  part.b.resize(std::size_t(rows * rank), 0.0f);
  for (dim r = 0; r < rows; ++r) std::copy_n(low.b.begin() + r * low.rank, low.rank, part.b.begin() + r * rank);
  return part;
}

bool adaptable(const ModelTensor& t) { return is_linear_matrix(t) && t.expert < 0 && t.layer >= 0; }

}  // namespace

Recovered recover(const Model& original, const Model& compressed, dim rank, const CalibrationChoice& choice,
                  Progress& progress) {
  return recover(
      original, compressed, [rank](const ModelTensor&) { return rank; }, choice, progress);
}

Recovered recover(const Model& original, const Model& compressed, const std::function<dim(const ModelTensor&)>& rank_of,
                  const CalibrationChoice& choice, Progress& progress) {
  for (const Model* model : {&original, &compressed})
    if (is_shared(*model))
      throw Error(Blame::input, printable(model->path().string()),
                  "expected a model whose blocks have matrices of their own, got shared ones",
                  "convert it to gguf first: that gives each block its own");
  Recovered out;
  Calibrator calibrator(original, calibration_tokens(original, choice),
                        {.with_moments = true, .compressed_prefix = false});
  out.tokens = calibrator.tokens();
  out.notes.assign(calibrator.notes().begin(), calibrator.notes().end());
  progress.begin("recover", original.config().layers);
  for (dim layer = 0; layer < original.config().layers; ++layer) {
    calibrator.gather(layer, progress);
    for (std::size_t i = 0; i < compressed.tensors().size(); ++i) {
      const ModelTensor& t = compressed.tensors()[i];
      if (t.layer != layer || !adaptable(t)) continue;
      const dim rank = rank_of(t);
      if (rank == 0) continue;
      if (t.turn)
        throw Error(Blame::input, printable(t.name), "expected a matrix that is not turned",
                    "choose a model that was compressed by another method");
      if (t.part == Part::inner)
        throw Error(Blame::input, printable(t.name), "expected a matrix that is not factored",
                    "convert it to gguf first: that multiplies factors out");
      const ModelTensor* from = original.find(t.role, t.layer, t.part);
      if (!from || from->weight.rows != t.weight.rows || from->weight.cols != t.weight.cols)
        throw input_error(printable(t.name), "expected a compressed copy of the original, which has no such matrix");
      const std::vector<float> e = error_of(*from, t, rows_of(original, compressed, t));
      if (std::all_of(e.begin(), e.end(), [](float v) { return v == 0; })) continue;
      const InputStats* stats = calibrator.find(*from);
      const LowRank low = weighted_low_rank(e.data(), t.weight.rows, t.weight.cols,
                                            stats && stats->moment ? &*stats->moment : nullptr, rank);
      out.before += low.before;
      out.after += low.after;
      out.parts.push_back(part_of(i, low, t.weight.rows, t.weight.cols, rank));
    }
    progress.advance(1, fmt::format("block {}", layer));
  }
  progress.end();
  return out;
}

}  // namespace pith
