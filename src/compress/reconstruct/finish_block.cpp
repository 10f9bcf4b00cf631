#include "compress/reconstruct/finish_block.h"

#include <algorithm>
#include <cstring>

#include "compress/calibrate/block_norms.h"
#include "compress/policy.h"
#include "core/error.h"

namespace pith {

namespace {

class Finisher {
 public:
  Finisher(const Model& model, const Prepared& prepared, dim layer, Calibrator& calibrator, BlockScales& scales)
      : model_(model), prepared_(prepared), layer_(layer), calibrator_(calibrator), scales_(scales) {
    const auto& tensors = prepared.plan.tensors;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (prepared.plan_for(tensors[i]).layer == layer) indices_.push_back(i);
  }

  Finished run(const std::function<void(std::size_t)>& round, Progress& progress) {
    for (const std::size_t i : indices_) round(i);
    Finished finished;
    for (const MethodStep& step : prepared_.finishers) finish(step, finished, progress);
    for (const std::size_t i : indices_)
      if (const Encoded* taken = can_change(i) ? calibrator_.taken(out(i).source) : nullptr)
        finished.rows.emplace(i, in_target_order(i, *taken));
    calibrator_.forget_taken(layer_);
    return finished;
  }

 private:
  const ExportTensor& out(std::size_t i) const { return prepared_.plan.tensors[i]; }
  const ModelTensor& tensor(std::size_t i) const { return model_.tensors()[out(i).source]; }
  dim bytes_of(std::size_t i) const {
    const TensorPlan& plan = prepared_.plan_for(out(i));
    return plan.rows * row_bytes(*out(i).format, plan.cols);
  }
  const TensorScales* scales_of(std::size_t source) const {
    const auto at = scales_.find(source);
    return at == scales_.end() ? nullptr : &at->second;
  }

  bool can_change(std::size_t i) const {
    const ModelTensor& t = tensor(i);
    return is_linear_matrix(t) && !out(i).transpose && !is_dense(*out(i).format) && out(i).outliers.per_row == 0 &&
           !SourceRows(model_, out(i), {}, prepared_.adapter_or_null()).exact();
  }

  void finish(const MethodStep& step, Finished& finished, Progress& progress) {
    std::vector<BlockMatrix> matrices;
    for (const std::size_t i : indices_)
      if (can_change(i) && step.where.has(tensor(i)) && tensor(i).expert < 0) matrices.push_back(matrix(i));
    BlockTask task;
    task.network = calibrator_.with_taken(layer_);
    task.block = &calibrator_.block(layer_);
    task.layer = layer_;
    task.matrices = matrices;
    const std::vector<std::size_t> norm_at = find_norms(*task.block);
    task.norms = norms_;
    task.lengths = calibrator_.lengths();
    task.input = [&](std::size_t sample, float* to) { calibrator_.load_input(sample, to); };
    task.target = [&](std::size_t sample, float* to) { calibrator_.load_target(sample, to); };
    task.seed = prepared_.calibration->seed;
    task.progress = &progress;
    step.method->block(task, step.options);
    for (std::size_t k = 0; k < norms_.size(); ++k) take_factors(norms_[k], norm_at[k]);
    if (!task.note.empty()) finished.note += (finished.note.empty() ? "" : "; ") + task.note;
  }

  BlockMatrix matrix(std::size_t i) const {
    const std::size_t source = out(i).source;
    Encoded* taken = calibrator_.taken(source);
    PITH_CHECK(taken);
    return {.role = tensor(i).role,
            .rows = taken->rows,
            .cols = taken->cols,
            .format = taken->format,
            .load =
                [this, i, source](dim row, float* to) {
                  const ExportTensor plain{.source = source, .format = out(i).format, .rows_from = {}, .slots = {}};
                  SourceRows(model_, plain, {}, prepared_.adapter_or_null(), scales_of(source)).load(row, row + 1, to);
                },
            .encoded = taken->owned.data()};
  }

  // Fills norms_; returns where in the plan they are.
  std::vector<std::size_t> find_norms(Block& block) {
    norms_.clear();
    std::vector<std::size_t> at;
    for (const std::size_t i : indices_) {
      const ModelTensor& t = tensor(i);
      const Norm* norm = find_norm(block, t.role, model_.find(Role::attn_norm_2, layer_));
      if (!norm || !norm->weight || t.part != Part::weight) continue;
      norms_.push_back({.norm = norm, .values = {norm->weight, std::size_t(t.weight.cols)}});
      at.push_back(i);
    }
    return at;
  }

  // The norm is written as its source times these; later methods see it so.
  void take_factors(const BlockNorm& norm, std::size_t i) {
    if (norm.factors.empty()) return;
    PITH_CHECK(norm.factors.size() == norm.values.size());
    TensorScales& scales = scales_[out(i).source];
    scales.offset = model_.config().norm_plus_one ? 1 : 0;
    if (scales.cols.empty()) scales.cols.assign(norm.factors.size(), 1.0f);
    std::vector<std::byte> row(std::size_t(bytes_of(i)));
    std::vector<float> values(norm.factors.size());
    for (std::size_t c = 0; c < norm.factors.size(); ++c) scales.cols[c] *= norm.factors[c];
    SourceRows(model_, out(i), {}, prepared_.adapter_or_null(), &scales).load(0, 1, values.data());
    const Format& format = *out(i).format;
    format.encode(format, values.data(), nullptr, dim(values.size()), {}, row.data());
    calibrator_.take(out(i), 0, row);
  }

  Buffer in_target_order(std::size_t i, const Encoded& taken) const {
    const dim bytes = row_bytes(*taken.format, taken.cols);
    const auto& from = out(i).rows_from;
    Buffer rows(taken.rows * bytes);
    for (dim r = 0; r < taken.rows; ++r)
      std::memcpy(rows.data() + r * bytes, taken.data + (from.empty() ? r : from[std::size_t(r)]) * bytes,
                  std::size_t(bytes));
    return rows;
  }

  const Model& model_;
  const Prepared& prepared_;
  dim layer_;
  Calibrator& calibrator_;
  BlockScales& scales_;
  std::vector<std::size_t> indices_;  // into ExportPlan::tensors
  std::vector<BlockNorm> norms_;
};

}  // namespace

Finished finish_block(const Model& model, const Prepared& prepared, dim layer, Calibrator& calibrator,
                      BlockScales& scales, const std::function<void(std::size_t)>& round, Progress& progress) {
  return Finisher(model, prepared, layer, calibrator, scales).run(round, progress);
}

dim finishing_bytes(const Model& model, const Prepared& prepared) {
  if (prepared.finishers.empty()) return 0;
  dim values = 0;  // of the largest block
  for (dim l = 0; l < model.config().layers; ++l) {
    dim sum = 0;
    for (const ExportTensor& t : prepared.plan.tensors) {
      const TensorPlan& plan = prepared.plan_for(t);
      if (plan.layer == l) sum += plan.rows * plan.cols;
    }
    values = std::max(values, sum);
  }
  constexpr dim kPerValue = 5 * dim(sizeof(float));  // source, gradient, direction, ranges, as rounded
  constexpr dim kBatch = 4;                          // samples at once, by default
  const Config& c = model.config();
  const dim row = 12 * c.hidden + 3 * (c.heads + 2 * c.kv_heads) * c.head_dim + 7 * c.ffn;
  return values * kPerValue + kBatch * prepared.calibration->length * row * dim(sizeof(float));
}

}  // namespace pith
