// How the ranks are spread over the matrices: by what their directions carry, and what losing those costs the model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compress/calibrate/probe.h"
#include "compress/lowrank/factorizer.h"
#include "core/parallel.h"

namespace pith {

void Factorizer::choose_ranks() {
  const double ratio = call_.options.number("ratio");
  const dim multiple = dim(call_.options.number("multiple"));
  const std::string& allocation = text("allocation");
  if (allocation != "uniform") measure_spectra(allocation == "sensitivity");
  std::vector<RankItem> items;
  for (const auto& [layer, groups] : of_layer_)
    for (const Group& g : groups) items.push_back(g.item);
  const std::vector<dim> ranks =
      allocation == "uniform" ? uniform_ranks(items, ratio, multiple) : threshold_ranks(items, ratio, multiple);
  std::size_t k = 0;
  for (auto& [layer, groups] : of_layer_)
    for (Group& g : groups) g.rank = ranks[k++];
}

// What each matrix's directions carry, as shares of all that it does; and what losing such a share costs.
void Factorizer::measure_spectra(bool sensitivity) {
  std::map<std::size_t, Weight> factored;  // products, at the uniform rank
  std::map<const Group*, double> lost;
  const double ratio = call_.options.number("ratio");
  const dim multiple = dim(call_.options.number("multiple"));
  call_.task.progress.begin("spectra", dim(groups_));
  walk(false, [&](Group& g, const InputStats* stats, Calibrator*) {
    const std::vector<float> w = values_of(g);
    const WeightedSvd svd(w.data(), g.item.rows, g.item.cols, weighing_of(g, stats));
    const double all = svd.tail(0);
    g.item.values.assign(svd.values().begin(), svd.values().end());
    if (all > 0)
      for (double& v : g.item.values) v /= std::sqrt(all);
    const dim rank = std::max<dim>(1, uniform_ranks({&g.item, 1}, ratio, multiple)[0]);
    std::optional<LowRank> factors;
    if (sensitivity) factors = svd.factors(rank);
    const std::lock_guard lock(mutex_);
    lost[&g] = all > 0 ? svd.tail(rank) / all : 0;
    for (dim begin = 0; const std::size_t i : g.tensors) {
      const dim end = begin + tensor(i).weight.rows;
      if (factors) factored.emplace(i, product_of(*factors, begin, end));
      begin = end;
    }
  });
  if (sensitivity) weigh_by_divergence(factored, lost);
}

// Divergence of the model's output when the matrices of one kind in a stretch of layers are factored alone.
void Factorizer::weigh_by_divergence(const std::map<std::size_t, Weight>& factored,
                                     const std::map<const Group*, double>& lost) {
  constexpr dim kStretches = 4;
  std::map<std::pair<Role, dim>, std::vector<Group*>> alike;
  for (auto& [layer, groups] : of_layer_)
    for (Group& g : groups)
      alike[{tensor(g.tensors[0]).role, layer * kStretches / model_.config().layers}].push_back(&g);
  Probe probe(model_, call_.task.tokens());
  call_.task.progress.begin("sensitivity", dim(alike.size()));
  for (const auto& [key, members] : alike) {
    std::vector<Block> blocks(model_.blocks().begin(), model_.blocks().end());
    Network network = Network::of(model_);
    network.blocks = blocks;
    double share = 0;
    for (const Group* g : members) {
      for (const std::size_t i : g->tensors) {
        const ModelTensor& t = tensor(i);
        find_linear(blocks[std::size_t(t.layer)], t.role, t.expert)->weight = &factored.at(i);
      }
      share += lost.at(g);
    }
    const double divergence = probe.divergence(network);
    for (Group* g : members) g->item.weight = share > 0 ? divergence / share : 0;
    call_.task.progress.advance(1, fmt::format("divergence of {}", role_name(key.first)));
  }
}

}  // namespace pith
