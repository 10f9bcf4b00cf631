#include "compress/calibrate/measure_importance.h"

#include <fmt/format.h>

#include "compress/calibrate/calibrator.h"
#include "compress/importance.h"
#include "core/error.h"

namespace pith {

namespace {

class Entries {
 public:
  explicit Entries(const Model& model) : model_(model) {}

  void add(const ModelTensor& t, const InputStats& stats) {
    const std::string name = importance_name(model_, t);
    if (name.empty()) return;
    ImatrixEntry& entry = at(name, stats.cols, t.expert >= 0 ? model_.config().experts : 1);
    const dim matrix = std::max<dim>(0, t.expert);
    entry.counts[std::size_t(matrix)] = float(stats.tokens);
    std::copy(stats.squares.begin(), stats.squares.end(), entry.sums.begin() + matrix * entry.cols);
  }
  std::vector<ImatrixEntry> take() { return std::move(list_); }

 private:
  // The experts of a layer share one.
  ImatrixEntry& at(const std::string& name, dim cols, dim matrices) {
    const auto [known, is_new] = index_.try_emplace(name, list_.size());
    if (is_new)
      list_.push_back(
          {name, cols, std::vector<float>(std::size_t(cols * matrices)), std::vector<float>(std::size_t(matrices))});
    return list_[known->second];
  }

  const Model& model_;
  std::vector<ImatrixEntry> list_;
  std::map<std::string, std::size_t> index_;
};

std::string note_on_unseen(const std::vector<ImatrixEntry>& entries) {
  dim matrices = 0, unseen = 0;
  for (const ImatrixEntry& e : entries)
    for (const float count : e.counts) {
      ++matrices;
      unseen += count == 0;
    }
  return unseen ? fmt::format("no token reached {} of {} matrices: a longer text would", unseen, matrices) : "";
}

}  // namespace

MeasuredImportance measure_importance(const Model& model, const CalibrationChoice& choice, Progress& progress,
                                      Group& group) {
  MeasuredImportance out;
  CalibrationTokens tokens = calibration_tokens(model, choice);
  out.contents.chunks = dim(tokens.sequences.size());
  out.contents.chunk_tokens = choice.length;
  for (const auto& file : choice.files) out.contents.datasets.push_back(file.filename().string());
  if (choice.files.empty()) out.contents.datasets.emplace_back("written by the model");
  progress.begin("measure importance", model.config().layers + 1);
  Calibrator calibrator(model, std::move(tokens), {.compressed_prefix = false, .group = &group});
  Entries entries(model);
  const auto gather = [&](dim layer) {
    calibrator.gather(layer, progress);
    for (const ModelTensor& t : model.tensors())
      if (t.layer == layer && t.part == Part::weight && !t.vector)
        if (const InputStats* stats = calibrator.find(t)) entries.add(t, *stats);
    progress.advance(1, layer < 0 ? "head" : fmt::format("block {}", layer));
  };
  for (dim layer = 0; layer < model.config().layers; ++layer) gather(layer);
  gather(-1);
  progress.end();
  out.tokens = calibrator.tokens();
  out.notes.assign(calibrator.notes().begin(), calibrator.notes().end());
  out.contents.entries = entries.take();
  if (out.contents.entries.empty())
    throw input_error(model.path().string(), "expected linear layers that GGUF has names for, found none");
  if (std::string note = note_on_unseen(out.contents.entries); !note.empty()) out.notes.push_back(std::move(note));
  return out;
}

}  // namespace pith
