#include "model/surgery/places.h"

#include "model/surgery/indices.h"

namespace pith {

std::vector<dim> Places::value_rows(const BlockCut& b) const {
  return b.values.empty() ? spread(b.kv_heads, c_.head_dim) : b.values;
}

std::vector<dim> Places::attended_cols(const BlockCut& b) const {
  const dim d = c_.head_dim, group = dim(b.heads.size() / b.kv_heads.size());
  const std::vector<dim> values = value_rows(b);
  std::vector<dim> cols;
  for (dim i = 0; i < dim(b.heads.size()); ++i)
    for (dim k = 0; k < d; ++k)
      cols.push_back(b.heads[std::size_t(i)] * d + values[std::size_t(i / group * d + k)] % d);
  return cols;
}

std::vector<dim> Places::qkv_rows(const BlockCut& b) const {
  const dim d = c_.head_dim, group = c_.heads / c_.kv_heads;
  const std::vector<dim> values = value_rows(b);
  std::vector<dim> rows;
  if (c_.qkv_order == QkvOrder::stacked) {
    append(rows, spread(b.heads, d));
    append(rows, spread(b.kv_heads, d, c_.heads * d));
    for (const dim v : values) rows.push_back((c_.heads + c_.kv_heads) * d + v);
    return rows;
  }
  for (std::size_t i = 0; i < b.kv_heads.size(); ++i) {
    const dim kv = b.kv_heads[i], first_block = kv * (group + 2);
    for (const dim h : b.heads)
      if (h / group == kv) append(rows, spread({first_block + h % group}, d));
    append(rows, spread({first_block + group}, d));
    for (dim k = 0; k < d; ++k)
      rows.push_back((first_block + group + 1) * d + values[i * std::size_t(d) + std::size_t(k)] % d);
  }
  return rows;
}

std::vector<dim> Places::expert_neurons(const ModelTensor& t, dim all) const {
  const auto& neurons = block(t).expert_neurons;
  return neurons.empty() ? first(all) : neurons[std::size_t(t.expert)];
}

std::vector<dim> Places::shared_neurons(const ModelTensor& t, dim all) const {
  return block(t).shared_neurons.empty() ? first(all) : block(t).shared_neurons;
}

std::vector<dim> Places::rows(const ModelTensor& t, dim all) const {
  switch (t.role) {
    case Role::attn_q:
      return spread(block(t).heads, c_.head_dim);
    case Role::attn_k:
      return spread(block(t).kv_heads, c_.head_dim);
    case Role::attn_v:
      return value_rows(block(t));
    case Role::attn_qkv:
      return qkv_rows(block(t));
    case Role::ffn_gate:
    case Role::ffn_up:
      return block(t).neurons;
    case Role::ffn_gate_up: {
      std::vector<dim> both = block(t).neurons;
      append(both, spread(block(t).neurons, 1, c_.ffn));
      return both;
    }
    case Role::attn_o:
    case Role::ffn_down:
    case Role::expert_down:
    case Role::shared_down:
      return s_.hidden;
    case Role::expert_gate:
    case Role::expert_up:
      return expert_neurons(t, all);
    case Role::shared_gate:
    case Role::shared_up:
      return shared_neurons(t, all);
    case Role::router:
      return block(t).experts;
    case Role::embed:
    case Role::lm_head:
      return s_.tokens.empty() ? first(all) : std::vector<dim>(s_.tokens.begin(), s_.tokens.end());
    default:
      return first(all);
  }
}

std::vector<dim> Places::cols(const ModelTensor& t) const {
  switch (t.role) {
    case Role::attn_o:
      return attended_cols(block(t));
    case Role::ffn_down:
      return block(t).neurons;
    case Role::expert_down:
      return expert_neurons(t, t.weight.cols);
    case Role::shared_down:
      return shared_neurons(t, t.weight.cols);
    default:
      return s_.hidden;  // all other matrices read the residual stream
  }
}

}  // namespace pith
