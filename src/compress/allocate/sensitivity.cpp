#include "compress/allocate/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "compress/calibrate/probe.h"
#include "compress/calibrate/stats_collector.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "model/shared.h"

namespace pith {

namespace {

constexpr dim kStretches = 4;  // of layers

Role read_by(const Model& model, const ModelTensor& t) {
  return t.role == Role::embed && model.config().tied_embeddings ? Role::lm_head : t.role;
}

std::vector<float> source_row(const ModelTensor& t, dim row) {
  std::vector<float> values(std::size_t(t.weight.cols));
  decode_row(t, row, values.data());
  return values;
}

// Sum over some rows of the error, scaled up to all.
double error_of(const ModelTensor& t, const Format& f, const float* importance, dim most_rows) {
  const dim cols = t.weight.cols, rows = std::min(most_rows, t.weight.rows);
  std::vector<double> of_row(static_cast<std::size_t>(rows));
  parallel_for(rows, [&](dim i) {
    const std::vector<float> w = source_row(t, i * t.weight.rows / rows);
    std::vector<std::byte> bytes(std::size_t(row_bytes(f, cols)));
    std::vector<float> back(w.size());
    f.encode(f, w.data(), importance, cols, {}, bytes.data());
    f.decode(f, bytes.data(), cols, back.data());
    for (dim c = 0; c < cols; ++c) {
      const double e = double(w[std::size_t(c)]) - double(back[std::size_t(c)]);
      of_row[std::size_t(i)] += e * e * (importance ? double(importance[c]) : 1.0);
    }
  });
  double sum = 0;
  for (const double e : of_row) sum += e;
  return sum * double(t.weight.rows) / double(rows);
}

Weight rounded(const ModelTensor& t, const Format& f, const float* importance) {
  Encoded w;
  w.format = &f;
  w.rows = t.weight.rows;
  w.cols = t.weight.cols;
  const dim bytes = row_bytes(f, w.cols);
  w.owned = Buffer(w.rows * bytes);
  w.data = w.owned.data();
  parallel_for(
      w.rows, [&](dim r) { f.encode(f, source_row(t, r).data(), importance, w.cols, {}, w.owned.data() + r * bytes); },
      16);
  return w;
}

StatsCollector inputs_of(const Model& model, const CalibrationTokens& tokens, Progress& progress) {
  StatsCollector stats(false);
  Forward forward(model);
  for (const auto& sequence : tokens.sequences) {
    KvCache cache(model.config(), 1, dim(sequence.size()));
    const Chunk chunk = {0, sequence, dim(sequence.size()) - 1};
    forward.run(
        cache, {&chunk, 1}, [](dim, const float*, dim) {}, &stats);
    progress.advance(0, "inputs of all matrices");
  }
  return stats;
}

// (role, stretch of layers)
using GroupKey = std::pair<Role, dim>;

GroupKey group_of(const Model& model, const ModelTensor& t) { return {t.role, stretch_of(model, t.layer)}; }

std::size_t nearest_candidate(const Sensitivity& s, dim values, double bits) {
  std::size_t best = 0;
  const auto distance = [&](std::size_t i) {
    return std::fabs(8.0 * double(s.candidates[i].bytes) / double(values) - bits);
  };
  for (std::size_t i = 1; i < s.candidates.size(); ++i)
    if (distance(i) < distance(best)) best = i;
  return best;
}

}  // namespace

dim stretch_of(const Model& model, dim layer) { return layer < 0 ? -1 : layer * kStretches / model.config().layers; }

std::vector<Sensitivity> measure_sensitivity(const Model& model, std::span<const std::size_t> tensors,
                                             const CalibrationTokens& tokens, const SensitivityOptions& options,
                                             Progress& progress) {
  const StatsCollector stats = inputs_of(model, tokens, progress);
  std::vector<Sensitivity> out;
  std::vector<std::vector<float>> importance;
  std::map<GroupKey, std::vector<std::size_t>> groups;  // into out
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ModelTensor& t = model.tensors()[tensors[i]];
    const InputStats* inputs = stats.find(read_by(model, t), t.layer, t.expert, model.inner_of(t) != nullptr);
    importance.push_back(inputs ? inputs->mean_squares() : std::vector<float>(std::size_t(t.weight.cols), 1.0f));
    Sensitivity& s = out.emplace_back();
    s.tensor = tensors[i];
    for (const Format* f : options.formats[i])
      s.candidates.push_back(
          {f, t.weight.rows * row_bytes(*f, t.weight.cols), error_of(t, *f, importance.back().data(), options.rows)});
    groups[group_of(model, t)].push_back(i);
    progress.advance(1, t.name);
  }
  Probe probe(model, tokens);
  for (const auto& [key, members] : groups) {
    std::vector<Block> blocks(model.blocks().begin(), model.blocks().end());
    Network network = Network::of(model);
    network.blocks = blocks;
    std::deque<Weight> changed;
    double error = 0;
    for (const std::size_t i : members) {
      const ModelTensor& t = model.tensors()[out[i].tensor];
      const Candidate& c =
          out[i].candidates[nearest_candidate(out[i], t.weight.rows * t.weight.cols, options.probe_bits)];
      changed.push_back(rounded(t, *c.format, importance[i].data()));
      error += c.error;
      if (t.layer >= 0) {
        Block& block = blocks[std::size_t(t.layer)];
        if (t.part == Part::inner)
          replace_inner(block, find_linear(block, t.role, t.expert)->inner, &changed.back());
        else
          for (const dim reader : readers_of(model, t))
            find_linear(blocks[std::size_t(reader)], t.role, t.expert)->weight = &changed.back();
      }
      if (t.role == Role::embed) network.embed.weight = &changed.back();
      if (read_by(model, t) == Role::lm_head) network.lm_head.weight = &changed.back();
    }
    const double divergence = probe.divergence(network);
    for (const std::size_t i : members) out[i].divergence_per_error = error > 0 ? divergence / error : 0;
    progress.advance(0, fmt::format("divergence of {} in stretch {}", role_name(key.first), key.second + 1));
  }
  return out;
}

}  // namespace pith
