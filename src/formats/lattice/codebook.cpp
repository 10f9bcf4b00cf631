#include "formats/lattice/codebook.h"

#include <cmath>

namespace pith::lattice {

kernels::SearchPlan plan_of(const RangeSearch& search) {
  kernels::SearchPlan plan;
  plan.aim = search.kind == RangeSearch::Kind::best     ? kernels::Aim::best
             : search.kind == RangeSearch::Kind::minmax ? kernels::Aim::minmax
                                                        : kernels::Aim::lp;
  plan.p = float(search.p);
  plan.steps = search.steps;
  return plan;
}

namespace {

float shift_of(const kernels::LatticeFacts& facts, const LatticeGroup& group) {
  if (!facts.signed_levels) return 0;
  return group.shift_down ? -kernels::kLatticeShift : kernels::kLatticeShift;
}

}  // namespace

float value_of(Lattice kind, float step, dim j, const LatticeGroup& group) {
  const kernels::LatticeFacts& facts = kernels::facts_of(kind);
  const int length = facts.book.length;
  const float level = facts.book.rows[group.point[j / length] * length + j % length];
  const float value = step * (level + shift_of(facts, group));
  return group.signs >> j & 1 ? -value : value;
}

bool move_value(Lattice kind, float step, dim j, float value, LatticeGroup& group) {
  const kernels::LatticeFacts& facts = kernels::facts_of(kind);
  const kernels::Codebook& book = facts.book;
  const int part = int(j) / book.length;
  int weight = 1;  // of the digit in the key
  for (int i = int(j) % book.length; i > 0; --i) weight *= book.levels;
  const int key = book.keys[group.point[part]], digit = key / weight % book.levels;
  const bool signs_are_free = !facts.signed_levels && !facts.even_signs;

  LatticeGroup best = group;
  float least = std::fabs(value_of(kind, step, j, group) - value);
  for (int other = 0; other < book.levels; ++other) {
    const int point = book.at[key + (other - digit) * weight];
    if (point < 0) continue;
    for (int flip = 0; flip <= int(signs_are_free); ++flip) {
      LatticeGroup changed = group;
      changed.point[part] = std::uint16_t(point);
      changed.signs = std::uint8_t(group.signs ^ flip << j);
      const float error = std::fabs(value_of(kind, step, j, changed) - value);
      if (error < least) least = error, best = changed;
    }
  }
  const bool moved = best.point[part] != group.point[part] || best.signs != group.signs;
  group = best;
  return moved;
}

}  // namespace pith::lattice
