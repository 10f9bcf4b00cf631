#include "compress/calibrate/stats_collector.h"

namespace pith {

Role shared_input(Role role) {
  switch (role) {
    case Role::attn_q:
    case Role::attn_k:
      return Role::attn_v;
    case Role::ffn_gate:
      return Role::ffn_up;
    case Role::expert_gate:
      return Role::expert_up;
    case Role::shared_gate:
      return Role::shared_up;
    default:
      return role;
  }
}

void StatsCollector::add(const Key& key, const float* x, dim rows, dim cols) {
  stats_.try_emplace(key, cols, with_moments_).first->second.add(x, rows);
}

void StatsCollector::linear_input(Role role, dim layer, const float* x, dim rows, dim cols) {
  if (role == shared_input(role)) add({layer, -1, role}, x, rows, cols);
}

void StatsCollector::expert_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) {
  if (role == shared_input(role)) add({layer, expert, role}, x, rows, cols);
}

const InputStats* StatsCollector::find(Role role, dim layer, dim expert) const {
  const auto at = stats_.find({layer, expert, shared_input(role)});
  return at == stats_.end() ? nullptr : &at->second;
}

InputStats* StatsCollector::find(Role role, dim layer, dim expert) {
  return const_cast<InputStats*>(std::as_const(*this).find(role, layer, expert));
}

}  // namespace pith
