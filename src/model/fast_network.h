// A model's network with its matrices stored anew as the fast products read them (ops/panel_weight.h), where their
// format allows: inputs are then rounded to 8 bits, one scale for 32 columns, as llama.cpp does. For speed; what is
// measured for quality runs on Network::of.
#pragma once
#include <deque>
#include <vector>

#include "model/forward.h"

namespace pith {

class FastNetwork {
 public:
  // Keeps views of the model, whose pages it gives back once they were read. exact: nothing is stored anew.
  explicit FastNetwork(const Model& model, const ActPlan* act = nullptr, bool exact = false);
  FastNetwork(const FastNetwork&) = delete;  // linears point into it
  const Network& network() const { return network_; }
  dim size_bytes() const { return arena_.size_bytes(); }  // of the panels

 private:
  struct Packed {
    const Encoded* from;
    PanelWeight panels;
    dim offset;  // in arena_
  };
  void list(Linear& linear);
  void fill(Packed& packed);
  Network network_;
  std::vector<Block> blocks_;
  std::deque<Packed> packed_;
  Buffer arena_;
  dim bytes_ = 0;
};

}  // namespace pith
