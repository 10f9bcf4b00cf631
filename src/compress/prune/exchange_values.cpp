#include "compress/prune/exchange_values.h"

#include <cmath>

namespace pith {

namespace {

// Sum over the dropped of w * mean.
double shift_of(const ExchangeInputs& in, const float* w, const std::uint8_t* kept) {
  double shift = 0;
  for (std::size_t c = 0; c < in.mean.size(); ++c)
    if (!kept[c]) shift += double(w[c]) * in.mean[c];
  return shift;
}

// The dropped value that helps most for what its input varies, -1: none.
dim to_grow(const ExchangeInputs& in, const float* w, const std::uint8_t* kept, double shift) {
  dim best = -1;
  double most = 0;
  for (std::size_t c = 0; c < in.mean.size(); ++c) {
    const double part = double(w[c]) * in.mean[c];
    if (kept[c] || part * shift <= 0) continue;
    const double gain = std::fabs(part) / std::pow(std::max(in.variance[c], 1e-30), in.power);
    if (gain > most) {
      most = gain;
      best = dim(c);
    }
  }
  return best;
}

// The kept value of least worth among columns [begin, end) that moves the mean against the shift; -1: none.
dim to_drop(const ExchangeInputs& in, const float* w, const std::uint8_t* kept, double shift, dim begin, dim end) {
  dim best = -1;
  double least = 0;
  for (dim c = begin; c < end; ++c) {
    const auto i = std::size_t(c);
    if (!kept[i] || double(w[i]) * in.mean[i] * shift >= 0) continue;
    const double worth = std::fabs(double(w[i])) * double(in.norms[i]);
    if (best < 0 || worth < least) {
      least = worth;
      best = c;
    }
  }
  return best;
}

}  // namespace

int exchange_values(const ExchangeInputs& in, const float* w, dim of, int most_rounds, std::uint8_t* kept) {
  const dim n = dim(in.mean.size());
  double shift = shift_of(in, w, kept);
  for (int round = 0; round < most_rounds; ++round) {
    const dim grown = to_grow(in, w, kept, shift);
    if (grown < 0) return round;
    const dim begin = of > 0 ? grown / of * of : 0, end = of > 0 ? std::min(n, begin + of) : n;
    const dim dropped = to_drop(in, w, kept, shift, begin, end);
    if (dropped < 0) return round;
    const auto part = [&](dim c) { return double(w[c]) * in.mean[std::size_t(c)]; };
    const double next = shift - part(grown) + part(dropped);
    if (std::fabs(next) >= std::fabs(shift)) return round;
    kept[grown] = 1;
    kept[dropped] = 0;
    if (next * shift <= 0) return round + 1;
    shift = next;
  }
  return most_rounds;
}

}  // namespace pith
