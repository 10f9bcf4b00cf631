#include "formats/kquant.h"

#include <cmath>

namespace pith::kquant {

// Bytes 0-3: scales 0-3, 4-7: minimums 0-3, each below two high bits of scales/minimums 4-7, whose low
// nibbles are in bytes 8-11 (scale low, minimum high).
void read_scale_pairs(const std::byte* packed, KBlock& block) {
  for (int j = 0; j < 4; ++j) {
    const int scale = byte_at(packed, j), min = byte_at(packed, j + 4), rest = byte_at(packed, j + 8);
    block.scale[j] = std::int8_t(scale & 63);
    block.min[j] = std::uint8_t(min & 63);
    block.scale[j + 4] = std::int8_t((rest & 15) | (scale >> 6) << 4);
    block.min[j + 4] = std::uint8_t((rest >> 4) | (min >> 6) << 4);
  }
}

void write_scale_pairs(const KBlock& block, std::byte* packed) {
  for (int j = 0; j < 4; ++j) {
    const int scale = block.scale[j + 4], min = block.min[j + 4];
    put_byte(packed, j, block.scale[j] | (scale >> 4) << 6);
    put_byte(packed, j + 4, block.min[j] | (min >> 4) << 6);
    put_byte(packed, j + 8, (scale & 15) | (min & 15) << 4);
  }
}

kernels::SearchPlan plan_of(const RangeSearch& search) {
  kernels::SearchPlan plan;
  switch (search.kind) {
    case RangeSearch::Kind::best:
      plan.aim = kernels::Aim::best;
      break;
    case RangeSearch::Kind::minmax:
      plan.aim = kernels::Aim::minmax;
      break;
    case RangeSearch::Kind::lp:
      plan.aim = kernels::Aim::lp;
      break;
  }
  plan.p = float(search.p);
  plan.steps = search.steps;
  return plan;
}

namespace {

struct Line {  // value = step * level - min
  float step;
  float min;
};

Line line_of(KKind kind, const KBlock& block, dim s) {
  const float step = f16_to_f32(block.d) * float(block.scale[s]);
  const bool affine = kind == KKind::q2 || kind == KKind::q4 || kind == KKind::q5;
  return {step, affine ? f16_to_f32(block.dmin) * float(block.min[s]) : 0.0f};
}

float level_of(KKind kind, int code) {
  switch (kind) {
    case KKind::q3:
      return float(code - 4);
    case KKind::q6:
      return float(code - 32);
    case KKind::iq4:
      return kernels::kIq4Levels[code];
    default:
      return float(code);
  }
}

}  // namespace

float value_of(KKind kind, const KBlock& block, dim s, int code) {
  const Line line = line_of(kind, block, s);
  return line.step * level_of(kind, code) - line.min;
}

int nearest_code(KKind kind, const KBlock& block, dim s, int top, float value) {
  const Line line = line_of(kind, block, s);
  if (line.step == 0) return 0;
  const float level = (value + line.min) / line.step;
  if (kind == KKind::iq4) {
    int code = 0;
    while (code < top && level - kernels::kIq4Levels[code] > kernels::kIq4Levels[code + 1] - level) ++code;
    return code;
  }
  const float code = level - level_of(kind, 0);
  if (!(code > 0)) return 0;
  return code >= float(top) ? top : int(std::nearbyint(code));
}

}  // namespace pith::kquant
