#include "compress/fold/scale_block.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compress/fold/edges.h"
#include "compress/policy.h"
#include "core/error.h"

namespace pith {

namespace {

class Scaler {
 public:
  Scaler(const Model& model, const Prepared& prepared, Calibrator& calibrator)
      : model_(model), prepared_(prepared), calibrator_(calibrator) {
    for (const ExportTensor& t : prepared.plan.tensors) out_of_[t.source] = &t;
  }

  BlockScales run(dim layer) {
    for (const FoldEdge& edge : fold_edges(model_, layer).edges) {
      if (!can_change(edge)) continue;
      for (const MethodStep& step : prepared_.scalers) {
        if (!selects_all(step.where, edge)) continue;
        std::vector<float> factors = wanted(edge, *step.method, step.options);
        if (factors.empty()) continue;
        if (edge.norm) make_storable(edge, factors);
        apply(edge, factors);
      }
    }
    return std::move(scales_);
  }

 private:
  const ModelTensor& tensor(std::size_t index) const { return model_.tensors()[index]; }

  const TensorScales* scales_of(std::size_t index) const {
    const auto at = scales_.find(index);
    return at == scales_.end() ? nullptr : &at->second;
  }

  bool can_change(const FoldEdge& edge) const {
    const auto free = [&](std::size_t index) {
      const auto out = out_of_.find(index);
      if (out == out_of_.end()) return false;
      return is_dense(*out->second->format) ||
             !SourceRows(model_, *out->second, {}, prepared_.adapter_or_null()).exact();
    };
    return std::all_of(edge.readers.begin(), edge.readers.end(), free) &&
           std::all_of(edge.makers.begin(), edge.makers.end(), free);
  }

  // A router is scaled with the experts whose input it shares.
  bool selects_all(const Selection& where, const FoldEdge& edge) const {
    return std::all_of(edge.readers.begin(), edge.readers.end(),
                       [&](std::size_t index) { return !is_linear(tensor(index).role) || where.has(tensor(index)); });
  }

  // The tensor as it is now, in the source's own order of rows.
  void load(std::size_t index, dim row, float* values) const {
    const ExportTensor plain{.source = index, .format = out_of_.at(index)->format, .rows_from = {}, .slots = {}};
    SourceRows(model_, plain, {}, prepared_.adapter_or_null(), scales_of(index)).load(row, row + 1, values);
  }

  std::vector<float> wanted(const FoldEdge& edge, const Method& method, const Options& options) const {
    std::vector<ScaledMatrix> matrices;
    for (const std::size_t index : edge.readers) {
      const InputStats* stats = calibrator_.find(tensor(index));
      const Format* format = out_of_.at(index)->format;
      if (!stats || is_dense(*format)) continue;
      const Encoded& w = tensor(index).weight;
      matrices.push_back({.rows = w.rows,
                          .cols = w.cols,
                          .format = format,
                          .stats = stats,
                          .load = [this, index](dim row, float* values) { load(index, row, values); },
                          .role = tensor(index).role,
                          .act = prepared_.plan.run_time.activations.plan()});
    }
    return matrices.empty() ? std::vector<float>() : method.scale(matrices, options);
  }

  float offset_of(std::size_t index) const {
    return tensor(index).part == Part::weight && is_norm(tensor(index).role) && model_.config().norm_plus_one ? 1 : 0;
  }

  // Each factor becomes what the norm's weight is divided by once it is rounded to its type.
  void make_storable(const FoldEdge& edge, std::vector<float>& factors) const {
    const std::size_t index = edge.makers.front();
    const ExportTensor& out = *out_of_.at(index);
    const float offset = offset_of(index);
    const dim n = dim(factors.size());
    std::vector<float> before(factors.size()), after(factors.size());
    load(index, 0, before.data());
    for (std::size_t j = 0; j < factors.size(); ++j) {
      before[j] += offset;
      after[j] = before[j] / factors[j] - offset + out.add;
    }
    std::vector<std::byte> stored(std::size_t(row_bytes(*out.format, n)));
    out.format->encode(*out.format, after.data(), nullptr, n, RangeSearch{}, stored.data());
    out.format->decode(*out.format, stored.data(), n, after.data());
    for (std::size_t j = 0; j < factors.size(); ++j) {
      const float exact = before[j] / (after[j] - out.add + offset);
      factors[j] = std::isfinite(exact) && std::fabs(exact / factors[j] - 1) < 0.5f ? exact : 1;
    }
  }

  static void multiply(std::vector<float>& into, dim size, dim at, float factor) {
    if (into.empty()) into.assign(std::size_t(size), 1.0f);
    into[std::size_t(at)] *= factor;
  }

  void apply(const FoldEdge& edge, const std::vector<float>& factors) {
    std::set<const InputStats*> done;
    for (const std::size_t index : edge.readers) {
      const dim cols = tensor(index).weight.cols;
      PITH_CHECK(cols == dim(factors.size()));
      for (dim c = 0; c < cols; ++c) multiply(scales_[index].cols, cols, c, factors[std::size_t(c)]);
      const InputStats* stats = calibrator_.find(tensor(index));
      if (stats && done.insert(stats).second) calibrator_.divide_inputs(tensor(index), factors);
    }
    for (const std::size_t index : edge.makers) {
      const ModelTensor& t = tensor(index);
      TensorScales& scales = scales_[index];
      scales.offset = offset_of(index);
      for (std::size_t j = 0; j < factors.size(); ++j) {
        const dim at = edge.maker_row.empty() ? dim(j) : edge.maker_row[j];
        if (t.vector)
          multiply(scales.cols, t.weight.cols, at, 1 / factors[j]);
        else
          multiply(scales.rows, t.weight.rows, at, 1 / factors[j]);
      }
    }
  }

  const Model& model_;
  const Prepared& prepared_;
  Calibrator& calibrator_;
  std::map<std::size_t, const ExportTensor*> out_of_;
  BlockScales scales_;
};

}  // namespace

BlockScales scale_block(const Model& model, const Prepared& prepared, dim layer, Calibrator& calibrator) {
  return Scaler(model, prepared, calibrator).run(layer);
}

std::vector<std::string> notes_on_scales(const Model& model, const Prepared& prepared) {
  std::set<std::size_t> planned;
  for (const ExportTensor& t : prepared.plan.tensors) planned.insert(t.source);
  const auto in_head = [&](std::size_t index) { return !planned.count(index); };
  std::set<std::string> all;
  for (dim layer = 0; layer < model.config().layers; ++layer) {
    BlockEdges found = fold_edges(model, layer);
    for (const FoldEdge& edge : found.edges)
      if (std::any_of(edge.makers.begin(), edge.makers.end(), in_head))
        found.closed.push_back(std::string(edge.name) + ": what makes it is written with the file's head");
    for (std::string& closed : found.closed) all.insert("not scaled: " + std::move(closed));
  }
  return {all.begin(), all.end()};
}

}  // namespace pith
