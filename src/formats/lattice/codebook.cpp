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

namespace {

constexpr int kMostPoints = 2048;

// weights * error^2 summed over a point's coordinates, for every point; `flipped`: with the sign of the one coordinate
// turned that costs least.
struct Distances {
  float plain[kMostPoints], flipped[kMostPoints];
};

void measure(const kernels::Codebook& book, float step, float shift, const float* x, const float* w, bool flip,
             Distances& out) {
  float least_turn[kMostPoints];
  for (int p = 0; p < book.count; ++p) out.plain[p] = 0, least_turn[p] = 3e38f;
  for (int i = 0; i < book.length; ++i) {
    const float* column = book.columns + i * book.count;
    for (int p = 0; p < book.count; ++p) {
      const float value = step * (column[p] + shift), error = x[i] - value;
      out.plain[p] += w[i] * error * error;
      if (!flip) continue;
      const float turn = 4 * w[i] * x[i] * value;  // (x + v)^2 - (x - v)^2
      least_turn[p] = turn < least_turn[p] ? turn : least_turn[p];
    }
  }
  if (flip)
    for (int p = 0; p < book.count; ++p) out.flipped[p] = out.plain[p] + least_turn[p];
}

int least_of(const float* distances, int count) {
  int best = 0;
  for (int p = 1; p < count; ++p)
    if (distances[p] < distances[best]) best = p;
  return best;
}

// The coordinate whose sign is cheapest to turn.
int cheapest_turn(const kernels::Codebook& book, int point, const float* x, const float* w) {
  int best = 0;
  float least = 3e38f;
  for (int i = 0; i < book.length; ++i) {
    const float turn = w[i] * x[i] * book.rows[point * book.length + i];
    if (turn < least) least = turn, best = i;
  }
  return best;
}

void nearest_shifted(Lattice kind, const kernels::Codebook& book, float step, const float* x, const float* w,
                     LatticeGroup& group) {
  Distances distances;
  float least = 3e38f;
  const LatticeGroup before = group;
  for (const int down : {0, 1}) {
    if (kind == Lattice::iq1_s && down != before.shift_down) continue;
    measure(book, step, down ? -kernels::kLatticeShift : kernels::kLatticeShift, x, w, false, distances);
    const int point = least_of(distances.plain, book.count);
    if (distances.plain[point] >= least) continue;
    least = distances.plain[point];
    group.point[0] = std::uint16_t(point);
    group.shift_down = std::uint8_t(down);
  }
}

}  // namespace

void nearest_group(Lattice kind, float step, const float* values, const float* weights, LatticeGroup& group) {
  const kernels::LatticeFacts& facts = kernels::facts_of(kind);
  const kernels::Codebook& book = facts.book;
  if (facts.signed_levels) return nearest_shifted(kind, book, step, values, weights, group);
  // Signs are chosen by the values: what is left is a search among magnitudes. A negative step turns them all.
  const float size = std::fabs(step);
  float x[8];
  int signs = 0;
  for (int i = 0; i < 8; ++i) {
    x[i] = std::fabs(values[i]);
    signs |= int(std::signbit(values[i]) != std::signbit(step)) << i;
  }
  const bool odd = facts.even_signs && __builtin_parity(unsigned(signs));
  const int parts = 8 / book.length;
  Distances distances[2];
  int plain[2] = {}, flipped[2] = {};
  for (int part = 0; part < parts; ++part) {
    const int first = part * book.length;
    measure(book, size, 0, x + first, weights + first, odd, distances[part]);
    plain[part] = least_of(distances[part].plain, book.count);
    if (odd) flipped[part] = least_of(distances[part].flipped, book.count);
  }
  int turned = -1;  // the part in which one sign gives way
  if (odd) {
    const auto extra = [&](int part) {
      return distances[part].flipped[flipped[part]] - distances[part].plain[plain[part]];
    };
    turned = parts == 2 && extra(1) < extra(0) ? 1 : 0;
  }
  for (int part = 0; part < parts; ++part) {
    const int point = part == turned ? flipped[part] : plain[part], first = part * book.length;
    group.point[part] = std::uint16_t(point);
    if (part == turned) signs ^= 1 << (first + cheapest_turn(book, point, x + first, weights + first));
  }
  group.signs = std::uint8_t(signs);
}

}  // namespace pith::lattice
