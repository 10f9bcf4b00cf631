// One run of `factorize`: which matrices, at which ranks, and their factors.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "compress/calibrate/calibrator.h"
#include "compress/lowrank/factorize.h"
#include "compress/lowrank/ranks.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "model/factored.h"

namespace pith {

class Factorizer {
 public:
  explicit Factorizer(const FactorizeCall& call);
  Model run();

 private:
  // Matrices that share one inner factor, taken as one on top of the other; most often a single one.
  struct Group {
    std::vector<std::size_t> tensors;  // into Model::tensors()
    RankItem item;
    dim rank = 0;  // 0: they stay whole
  };

  const ModelTensor& tensor(std::size_t i) const { return model_.tensors()[i]; }
  const std::string& text(const char* name) const { return call_.options.text(name); }
  bool refit_wanted() const { return refits_ && text("refit") == "true"; }
  void add(std::size_t tensor, bool joint);

  std::vector<float> values_of(const Group& g) const;
  Weighing weighing_of(const Group& g, const InputStats* stats) const;
  LowRank factors_of(const Group& g, const std::vector<float>& w, const Weighing& weighing,
                     const InputStats* stats) const;
  void factor(Group& g, const InputStats* stats, Calibrator* calibrator);

  // each(group, stats, calibrator) for all groups, those of a block at the same time; without a calibrator where
  // nothing is to be measured.
  template <class Each>
  void walk(bool compressed_prefix, const Each& each);

  // ranks_of_groups.cpp
  void choose_ranks();
  void measure_spectra(bool sensitivity);
  void weigh_by_divergence(const std::map<std::size_t, Weight>& factored, const std::map<const Group*, double>& lost);

  const FactorizeCall& call_;
  const Model& model_;
  const bool refits_;
  std::map<dim, std::vector<Group>> of_layer_;
  std::size_t groups_ = 0;
  std::vector<Factors> factors_;
  std::shared_ptr<Scratch> scratch_ = std::make_shared<Scratch>();
  std::mutex mutex_;
};

// The rows `begin` to `end` of B A, f32, as a weight of its own.
Encoded product_of(const LowRank& f, dim begin, dim end);

template <class Each>
void Factorizer::walk(bool compressed_prefix, const Each& each) {
  std::optional<Calibrator> calibrator;
  if (call_.moments || refit_wanted())
    calibrator.emplace(model_, call_.task.tokens(),
                       CalibratorOptions{.with_moments = true, .compressed_prefix = compressed_prefix});
  dim walked = 0;  // blocks that the text has passed
  for (auto& [layer, groups] : of_layer_) {
    for (dim before = calibrator ? walked : layer; before < layer; ++before) {  // blocks that stay as they are
      calibrator->gather(before, call_.task.progress);
      calibrator->advance(before, call_.task.progress);
    }
    if (calibrator) calibrator->gather(layer, call_.task.progress);
    parallel_for(dim(groups.size()), [&, &groups = groups](dim k) {
      Group& g = groups[std::size_t(k)];
      each(g, calibrator ? calibrator->find(tensor(g.tensors[0])) : nullptr, calibrator ? &*calibrator : nullptr);
    });
    call_.task.progress.advance(dim(groups.size()), tensor(groups.back().tensors.back()).name);
    if (calibrator) calibrator->advance(layer, call_.task.progress);
    walked = layer + 1;
  }
}

}  // namespace pith
