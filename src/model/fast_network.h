// A model's network with its matrices stored anew in memory of huge pages. Where their format allows, as panels
// (ops/panel_weight.h), whose products round inputs to 8 bits, one scale for 32 columns; else byte for byte. For speed;
// what is measured for quality runs on Network::of.
#pragma once
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "model/forward.h"

namespace pith {

class FastNetwork {
 public:
  // Keeps views of the model, whose pages it gives back once they were read. exact: nothing is stored anew; nor
  // where the machine has not the memory for it.
  explicit FastNetwork(const Model& model, const ActPlan* act = nullptr, bool exact = false);
  FastNetwork(const FastNetwork&) = delete;  // linears point into it
  const Network& network() const { return network_; }
  dim size_bytes() const { return arena_.size_bytes(); }  // of what was stored
  dim panel_bytes() const { return panel_bytes_; }        // of the panels among it

 private:
  struct Stored {
    const Encoded* from;   // or
    const Sparse* sparse;  // its zeros left out
    PanelWeight panels;
    std::vector<std::int64_t> starts;  // of sparse panels
    Weight copy;                       // where there are no panels: the same bytes
    dim offset;                        // in arena_
  };
  void list_all();
  void list(Linear& linear);
  // Stores one matrix of a linear layer, once for all that read it. panels: whether it may become such.
  void list(const Weight*& weight, const PanelWeight*& as_panels, bool panels);
  void list_new(const Weight*& weight, const PanelWeight*& as_panels, bool panels);
  void list_sparse(const Sparse& sparse, const Weight*& weight, const PanelWeight*& as_panels, bool panels);
  void fill(Stored& stored);
  void fill_sparse(Stored& stored, std::byte* to);
  Network network_;
  std::vector<Block> blocks_;
  std::deque<Stored> stored_;
  std::map<const Weight*, std::pair<const Weight*, const PanelWeight*>> listed_;
  Buffer arena_;
  dim bytes_ = 0, panel_bytes_ = 0;
};

}  // namespace pith
