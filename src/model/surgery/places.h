// Which rows and columns of each tensor a surgery leaves, and in which order.
#pragma once
#include "model/config.h"
#include "model/surgery.h"

namespace pith {

class Places {
 public:
  // Views; the choices may change afterwards.
  Places(const Config& before, const Surgery& surgery) : c_(before), s_(surgery) {}
  // Of a tensor of `all` rows (a bias: elements) that is no norm; its layer and expert are numbered as they will be.
  std::vector<dim> rows(const ModelTensor& t, dim all) const;
  std::vector<dim> cols(const ModelTensor& t) const;

 private:
  const BlockCut& block(const ModelTensor& t) const { return s_.blocks[std::size_t(t.layer)]; }
  std::vector<dim> value_rows(const BlockCut& b) const;  // of attn_v
  std::vector<dim> attended_cols(
      const BlockCut& b) const;  // of attn_o: each query head's as its kv head's values stand
  std::vector<dim> qkv_rows(const BlockCut& b) const;
  std::vector<dim> expert_neurons(const ModelTensor& t, dim all) const;
  std::vector<dim> shared_neurons(const ModelTensor& t, dim all) const;

  const Config c_;
  const Surgery& s_;
};

}  // namespace pith
