#include "compress/calibrate/stats_collector.h"

namespace pith {

static int stage_of(Role role) {
  switch (role) {
    case Role::attn_q:
    case Role::attn_k:
    case Role::attn_v:
    case Role::attn_qkv:
      return 0;
    case Role::attn_o:
      return 1;
    case Role::ffn_gate:
    case Role::ffn_up:
    case Role::ffn_gate_up:
    case Role::router:
    case Role::expert_gate:
    case Role::expert_up:
    case Role::shared_gate:
    case Role::shared_up:
    case Role::shared_router:
      return 2;
    case Role::ffn_down:
    case Role::expert_down:
    case Role::shared_down:
      return 3;
    default:
      return -1;
  }
}

int input_stage(const ModelTensor& t) { return t.vector || t.part == Part::bias ? -1 : stage_of(t.role); }

void StatsCollector::add(const Key& key, const float* x, dim rows, dim cols) {
  if (stage_ && stage_of(key.role) != *stage_) return;
  stats_.try_emplace(key, cols, with_moments_).first->second.add(x, rows);
}

void StatsCollector::linear_input(Role role, dim layer, const float* x, dim rows, dim cols) {
  if (role == shared_input(role)) add({layer, -1, role, false}, x, rows, cols);
}

void StatsCollector::expert_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) {
  if (role == shared_input(role)) add({layer, expert, role, false}, x, rows, cols);
}

void StatsCollector::factor_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) {
  add({layer, expert, role, true}, x, rows, cols);
}

const InputStats* StatsCollector::find(Role role, dim layer, dim expert, bool outer) const {
  const auto at = stats_.find({layer, expert, outer ? role : shared_input(role), outer});
  return at == stats_.end() ? nullptr : &at->second;
}

InputStats* StatsCollector::find(Role role, dim layer, dim expert, bool outer) {
  return const_cast<InputStats*>(std::as_const(*this).find(role, layer, expert, outer));
}

}  // namespace pith
