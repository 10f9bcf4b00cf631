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

void StatsCollector::empty() {
  for (auto& [key, stats] : stats_) stats.clear();
}

// A process whose text sent nothing to an expert, or which has no piece, does not know what there is: so all tell one
// another first.
void StatsCollector::add_in_order(StatsCollector& piece, Group& group, int parts, dim layer, dim experts) {
  constexpr std::size_t kKinds = 2 * (std::size_t(Role::other) + 1);
  std::vector<float> cols(std::size_t(experts + 1) * kKinds);  // by expert (none first), role and kind; 0: nothing came
  for (const auto& [key, stats] : piece.stats_)
    if (stats.tokens > 0)
      cols[std::size_t(key.expert + 1) * kKinds + 2 * std::size_t(key.role) + std::size_t(key.outer)] =
          float(stats.cols);
  group.largest(cols);
  for (std::size_t at = 0; at < cols.size(); ++at) {
    if (cols[at] == 0) continue;
    const Key key = {layer, dim(at / kKinds) - 1, Role(at % kKinds / 2), at % 2 == 1};
    const InputStats& part = piece.stats_.try_emplace(key, dim(cols[at]), with_moments_).first->second;
    stats_.try_emplace(key, dim(cols[at]), with_moments_).first->second.add_in_order(part, group, parts);
  }
}

const InputStats* StatsCollector::find(Role role, dim layer, dim expert, bool outer) const {
  const auto at = stats_.find({layer, expert, outer ? role : shared_input(role), outer});
  return at == stats_.end() ? nullptr : &at->second;
}

InputStats* StatsCollector::find(Role role, dim layer, dim expert, bool outer) {
  return const_cast<InputStats*>(std::as_const(*this).find(role, layer, expert, outer));
}

}  // namespace pith
