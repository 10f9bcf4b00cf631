// Gathers the inputs of the matrices of the layers that a forward pass runs.
#pragma once
#include <map>
#include <optional>
#include <utility>

#include "compress/input_stats.h"
#include "core/group.h"
#include "model/forward.h"
#include "model/model.h"

namespace pith {

class StatsCollector : public LinearObserver {
 public:
  explicit StatsCollector(bool with_moments) : with_moments_(with_moments) {}
  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override;
  void expert_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) override;
  void factor_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) override;
  // Matrices that read the same input share an entry. outer: of what reads an inner factor. Null when nothing came by.
  const InputStats* find(Role role, dim layer, dim expert = -1, bool outer = false) const;
  InputStats* find(Role role, dim layer, dim expert = -1, bool outer = false);
  void clear() { stats_.clear(); }
  void empty();  // as clear, but what comes next finds its room
  // Adds what each of the first `parts` processes has in `piece`, of a layer with `experts` experts, in the order of
  // ranks.
  void add_in_order(StatsCollector& piece, Group& group, int parts, dim layer, dim experts);
  void keep_only(std::optional<int> stage) { stage_ = stage; }  // of what comes from now on; see input_stage

 private:
  struct Key {
    dim layer, expert;
    Role role;
    bool outer;
    auto operator<=>(const Key&) const = default;
  };
  void add(const Key& key, const float* x, dim rows, dim cols);
  bool with_moments_;
  std::optional<int> stage_;
  std::map<Key, InputStats> stats_;
};

// A block's matrices in the order in which they run: 0 for q, k and v, 1 for o, 2 for gate and up, 3 for down. Vectors
// and all others: -1.
int input_stage(const ModelTensor& t);

}  // namespace pith
