#include "compress/allocate/tails.h"

#include <algorithm>
#include <mutex>

#include "compress/allocate/sensitivity.h"
#include "compress/calibrate/calibrator.h"
#include "compress/lowrank/weighted_low_rank.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

// What rounding takes away, (rows, cols).
std::vector<float> lost_by(const ModelTensor& t, const Format& f, const Method& method, const Options& options,
                           const InputStats& stats) {
  const dim rows = t.weight.rows, cols = t.weight.cols, bytes = row_bytes(f, cols);
  std::vector<float> w = decoded(t);
  const std::vector<float> importance = stats.mean_squares();
  const std::unique_ptr<LayerState> state = method.prepare ? method.prepare(stats, f, options) : nullptr;
  std::vector<std::byte> out(std::size_t(rows * bytes));
  LayerTask task;
  task.source = w.data();
  task.rows = rows;
  task.cols = cols;
  task.format = &f;
  task.importance = importance.data();
  task.out = out.data();
  task.state = state.get();
  task.role = t.role;
  method.layer(task, options);
  std::vector<float> back(static_cast<std::size_t>(cols));
  for (dim r = 0; r < rows; ++r) {
    f.decode(f, out.data() + r * bytes, cols, back.data());
    for (dim c = 0; c < cols; ++c) w[std::size_t(r * cols + c)] -= back[std::size_t(c)];
  }
  return w;
}

std::vector<double> shares(const std::vector<float>& e, dim rows, dim cols, const SecondMoment& moment,
                           std::span<const dim> ranks) {
  const dim side = std::min(rows, cols), most = std::min(side, *std::max_element(ranks.begin(), ranks.end()));
  const WeightedSvd svd(e.data(), rows, cols,
                        {.rows = {}, .cols = {}, .moment = &moment, .mean = {}, .damping = kAdapterDamping}, most);
  const double all = svd.tail(0);
  std::vector<double> out;
  for (const dim rank : ranks) out.push_back(all > 0 ? svd.tail(std::min(rank, side)) / all : 0);
  return out;
}

void check_method(const Method& m) {
  if (!m.layer || m.prepare_matrix || m.outliers || m.turn || m.kept || m.fisher)
    throw Error(Blame::input, m.name, "expected a method that rounds row by row, to choose ranks beside it",
                "use rtn, hqq or gptq");
}

}  // namespace

Tails measure_tails(const Model& model, std::span<const TailItem> items, std::span<const dim> ranks,
                    const Method& method, const Options& options, const CalibrationTokens& tokens, Progress& progress) {
  check_method(method);
  PITH_CHECK(!ranks.empty());
  std::map<std::pair<Role, dim>, std::vector<const TailItem*>> alike;
  for (const TailItem& item : items) {
    const ModelTensor& t = model.tensors()[item.tensor];
    alike[{t.role, stretch_of(model, t.layer)}].push_back(&item);
  }
  std::map<dim, std::vector<const TailItem*>> of_layer;
  for (auto& [key, members] : alike) {
    const TailItem* middle = members[members.size() / 2];
    of_layer[model.tensors()[middle->tensor].layer].push_back(middle);
  }
  Tails out;
  if (of_layer.empty()) return out;
  Calibrator calibrator(model, tokens, {.with_moments = true, .compressed_prefix = false});
  progress.begin("spectra", dim(alike.size()));
  std::mutex mutex;
  for (dim layer = 0; layer <= of_layer.rbegin()->first; ++layer) {
    calibrator.gather(layer, progress);
    std::vector<std::pair<const TailItem*, const Format*>> trials;
    for (const TailItem* item : of_layer[layer])
      for (const Format* f : item->formats) trials.emplace_back(item, f);
    parallel_for(dim(trials.size()), [&](dim i) {
      const auto& [item, f] = trials[std::size_t(i)];
      const ModelTensor& t = model.tensors()[item->tensor];
      const InputStats* stats = calibrator.find(t);
      PITH_CHECK(stats && stats->moment);
      std::vector<double> left =
          shares(lost_by(t, *f, method, options, *stats), t.weight.rows, t.weight.cols, *stats->moment, ranks);
      const std::lock_guard lock(mutex);
      out[{t.role, stretch_of(model, layer), f}] = std::move(left);
    });
    progress.advance(dim(of_layer[layer].size()), fmt::format("what rounding takes away in block {}", layer));
    calibrator.advance(layer, progress);
  }
  return out;
}

}  // namespace pith
