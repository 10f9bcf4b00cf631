// Counting, for inspect.h.
#include <fmt/format.h>

#include <algorithm>

#include "formats/format.h"
#include "io/files.h"
#include "model/forward.h"
#include "report/inspect.h"

namespace pith::report {
namespace {

void add(ModelSummary& summary, const ModelTensor& tensor) {
  const Encoded& w = tensor.weight;
  const dim parameters = w.rows * w.cols;
  const dim bytes = w.format ? bytes_of(tensor) : 0;
  std::string format(w.format ? w.format->name : "unknown");
  if (tensor.outliers)
    format += fmt::format(" + {} {}", tensor.outliers->values.cols, tensor.outliers->shared ? "columns" : "a row");
  if (tensor.sparse)
    format += tensor.sparse->layout == SparseLayout::bitmask ? ", zeros left out" : ", two of four left out";
  if (tensor.turn) format += " turned";
  const auto same = [&](const TensorGroup& g) {
    return g.role == tensor.role && g.part == tensor.part && g.rows == w.rows && g.cols == w.cols && g.format == format;
  };
  auto at = std::find_if(summary.groups.begin(), summary.groups.end(), same);
  if (at == summary.groups.end())
    at = summary.groups.insert(
        at, TensorGroup{.role = tensor.role, .part = tensor.part, .format = format, .rows = w.rows, .cols = w.cols});
  ++at->tensors;
  at->parameters += parameters;
  at->bytes += bytes;
  ++summary.tensors;
  summary.parameters += parameters;
  summary.tensor_bytes += bytes;
  if (is_linear_matrix(tensor)) {
    summary.linear_parameters += parameters;
    summary.linear_bytes += bytes;
  }
}

}  // namespace

ModelSummary summarize(const Config& config, std::span<const ModelTensor> tensors, dim context, const KvSpec& kv) {
  ModelSummary summary;
  summary.config = config;
  for (const ModelTensor& tensor : tensors) add(summary, tensor);
  summary.cost = token_cost(config, tensors);
  summary.context = context > 0 ? context : config.context;
  summary.kv = kv.text();
  // Whole blocks of every codec, beyond the positions that one keeps exactly.
  constexpr dim kLong = 4096;
  summary.kv_bytes_per_token =
      (KvCache::bytes(config, 1, 2 * kLong, kv) - KvCache::bytes(config, 1, kLong, kv)) / kLong;
  summary.run_bytes = summary.tensor_bytes;
  if (summary.context > 0) summary.run_bytes += KvCache::bytes(config, 1, summary.context, kv);
  return summary;
}

ModelSummary summarize(const Model& model, dim context, const std::optional<KvSpec>& kv) {
  ModelSummary summary = summarize(model.config(), model.tensors(), context, kv ? *kv : model.run_time().kv);
  summary.name = last_name(model.path());
  summary.container = model.is_gguf() ? "gguf" : "hf";
  summary.file_bytes = model.file_bytes();
  if (model.has_tokenizer()) {
    summary.tokenizer = model.tokenizer().kind();
    summary.tokenizer_vocab = model.tokenizer().vocab_size();
  }
  summary.notes.assign(model.notes().begin(), model.notes().end());
  return summary;
}

}  // namespace pith::report
