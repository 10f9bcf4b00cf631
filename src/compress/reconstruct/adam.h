// Adam (Kingma, Ba 2015) without weight decay, for one parameter at a time.
#pragma once
#include <cmath>

#include "core/base.h"

namespace pith {

struct AdamStep {
  double rate = 1e-2;
  dim number = 1;  // of the step, from 1
  double decay = 0.9, square_decay = 0.999;
};
struct AdamMoments {
  float mean = 0, square = 0;
};
// What the parameter moves by.
inline float adam_move(AdamMoments& m, float slope, const AdamStep& s) {
  m.mean = float(s.decay * double(m.mean) + (1 - s.decay) * double(slope));
  m.square = float(s.square_decay * double(m.square) + (1 - s.square_decay) * double(slope) * double(slope));
  const double mean = double(m.mean) / (1 - std::pow(s.decay, double(s.number)));
  const double square = double(m.square) / (1 - std::pow(s.square_decay, double(s.number)));
  return float(-s.rate * mean / (std::sqrt(square) + 1e-12));
}

}  // namespace pith
