#include "compress/prune/preflight_notes.h"

#include <numeric>
#include <set>

#include "compress/policy.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "formats/sparse_rows.h"
#include "kernels/rows.h"

namespace pith {

dim values_not_zero(const ModelTensor& t) {
  std::vector<dim> of_row(static_cast<std::size_t>(t.weight.rows));
  parallel_ranges(t.weight.rows, 16, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(t.weight.cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(t, r, row.data());
      of_row[std::size_t(r)] = t.weight.cols - count_zeros(row.data(), t.weight.cols);
    }
  });
  return std::accumulate(of_row.begin(), of_row.end(), dim(0));
}

bool has_exact_zero(const Format& f) {
  constexpr dim kCols = 512;
  if (!fits(f, kCols)) return false;
  Rng rng(1);
  std::vector<float> x(kCols), y(kCols);
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, kCols)));
  for (const float shift : {0.0f, 0.7f, -0.7f}) {
    for (float& v : x) v = rng.normal() > 0 ? float(rng.normal()) + shift : 0.0f;
    f.encode(f, x.data(), nullptr, kCols, {}, bytes.data());
    f.decode(f, bytes.data(), kCols, y.data());
    for (dim c = 0; c < kCols; ++c)
      if (x[std::size_t(c)] == 0 && y[std::size_t(c)] != 0) return false;
  }
  return true;
}

void check_pruning(const Model& model, const Recipe& recipe, const Prepared& p) {
  const auto refuse = [](std::string_view what, const char* hint) {
    throw Error(Blame::input, "pruning", fmt::format("expected no {} beside it", what), hint);
  };
  if (!p.finishers.empty())
    refuse(p.finishers.front().method->name, "it would move zeros; quantize the pruned model with gptq instead");
  if (recipe.max_bytes) refuse("budget of formats", "name a --format");
  for (const ExportTensor& t : p.plan.tensors) {
    if (p.plan_for(t).kept < 0) continue;
    if (model.tensors()[t.source].turn || t.turn) refuse("matrix between rotations", "start from the original model");
    if (t.transpose) refuse("transposed layer", "use --to gguf, where a row is an output");
  }
}

namespace {

std::string gain(const std::vector<TensorPlan>& plans, Container container) {
  dim stored = 0, dense = 0, kept = 0, values = 0;
  bool sparse = false;
  for (const TensorPlan& t : plans) {
    if (t.kept < 0 && !t.sparse) continue;
    sparse = sparse || t.sparse;
    stored += t.bytes_after;
    dense += t.rows * row_bytes(*t.to, t.cols);
    kept += t.sparse ? t.sparse->kept : t.kept;
    values += t.rows * t.cols;
  }
  if (values == 0) return {};
  const double zeros = 100 * (1 - double(kept) / double(values));
  if (!sparse)
    return fmt::format(
        "{:.2f} % of the linear layers will be zeros, stored as values: the file is as large and as fast "
        "as without them, in llama.cpp and elsewhere{}",
        zeros,
        container == Container::pith ? "; --store bitmask leaves them out"
                                     : "; --to pith --store bitmask leaves them out");
  return fmt::format(
      "{:.2f} % zeros left out: the linear layers take {:.1f} % {} than dense ones of their format, and "
      "run from that in pith, which alone reads such files",
      zeros, 100 * std::abs(1 - double(stored) / double(dense)), stored < dense ? "less" : "more");
}

}  // namespace

std::vector<std::string> notes_on_zeros(const std::vector<TensorPlan>& plans, Container container) {
  std::vector<std::string> notes;
  std::string first = gain(plans, container);
  if (first.empty()) return notes;
  notes.push_back(std::move(first));
  std::set<std::string_view> told;
  for (const TensorPlan& t : plans)
    if (t.kept >= 0 && !is_dense(*t.to) && !has_exact_zero(*t.to) && told.insert(t.to->name).second)
      notes.push_back(
          fmt::format("{} has no exact zero: values that were dropped come back as small ones; formats on a "
                      "symmetric grid, as int4_g128_sym or q8_0, keep them",
                      t.to->name));
  return notes;
}

}  // namespace pith
