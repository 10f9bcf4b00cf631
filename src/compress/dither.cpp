#include "compress/dither.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/rng.h"

namespace pith {

namespace {

constexpr dim kRun = 16;  // neighbours that share a scale in every format so far; others only cost time

// One block of an encoded row, its codes free to be overwritten.
class BlockGrid {
 public:
  BlockGrid(const Format& f, const std::byte* block, dim block_bytes, dim n, const float* values)
      : f_(f), copy_(block, block + block_bytes), n_(n), values_(values) {
    for (dim j = 0; j < n; ++j) largest_ = std::max(largest_, std::fabs(values[j]));
  }

  // The widths of the cells of values [begin, end). On an even grid three probes tell all.
  void steps(dim begin, dim end, float* out) {
    if (const float even = even_step(begin, end); even > 0)
      std::fill(out, out + (end - begin), even);
    else
      for (dim j = begin; j < end; ++j) out[j - begin] = step(j);
  }

 private:
  // The step that the least, the greatest and the value nearest to zero share, when all lie whole steps apart; else 0.
  float even_step(dim begin, dim end) {
    dim least = begin, greatest = begin, smallest = begin;
    for (dim j = begin; j < end; ++j) {
      if (values_[j] < values_[least]) least = j;
      if (values_[j] > values_[greatest]) greatest = j;
      if (std::fabs(values_[j]) < std::fabs(values_[smallest])) smallest = j;
    }
    const float width = step(smallest);
    if (!(width > 0)) return 0;
    for (const dim probe : {least, greatest})
      if (std::fabs(step(probe) - width) > 1e-3f * width) return 0;
    for (dim j = begin; j < end; ++j) {
      const float whole = (values_[j] - values_[least]) / width;
      if (std::fabs(whole - std::round(whole)) > 0.02f) return 0;
    }
    return width;
  }

  // The width of value j's cell. The step found last is tried first.
  float step(dim j) {
    const float up = gap(j, 1, guess_up_), down = gap(j, -1, guess_down_);
    if (up > 0) guess_up_ = up;
    if (down > 0) guess_down_ = down;
    if (up > 0 && down > 0) return (up + down) / 2;
    return std::max(up, down);  // the first or the last code
  }

  float nearest(dim j, float value) { return f_.put(f_, copy_.data(), n_, j, value); }

  // The distance to the next code in one direction; 0 when there is none.
  float gap(dim j, float direction, float guess) {
    const float here = values_[j];
    if (guess > 0) {
      const float found = std::fabs(nearest(j, here + direction * 0.6f * guess) - here);
      if (std::fabs(found - guess) <= 1e-3f * guess) return found;
    }
    // The first probe past half a step is within a whole one, so doubling never jumps over the neighbour, which
    // then lies beyond the probe. It may start anywhere below half a step.
    float reach = largest_ * 0x1p-20f;
    if (guess > 0 && nearest(j, here + direction * guess / 8) == here) reach = guess / 4;
    for (; reach <= 4 * largest_ && reach > 0; reach *= 2)
      if (const float found = (nearest(j, here + direction * reach) - here) * direction; found > reach / 2)
        return found;
    return 0;
  }

  const Format& f_;
  std::vector<std::byte> copy_;
  dim n_;
  const float* values_;
  float largest_ = 0, guess_up_ = 0, guess_down_ = 0;
};

}  // namespace

void local_steps(const Format& f, const std::byte* row, dim n, float* steps) {
  std::vector<float> values(static_cast<std::size_t>(n));
  f.decode(f, row, n, values.data());
  const dim block = f.block > 0 ? f.block : n;
  const dim block_bytes = f.block > 0 ? f.block_bytes : row_bytes(f, n);
  for (dim begin = 0; begin < n; begin += block) {
    BlockGrid grid(f, row + begin / block * block_bytes, block_bytes, block, values.data() + begin);
    for (dim j = 0; j < block; j += kRun) grid.steps(j, std::min(block, j + kRun), steps + begin + j);
  }
}

std::uint64_t dither_seed(std::uint64_t seed, std::string_view tensor_name) {
  std::uint64_t mixed = mix64(seed, tensor_name.size());
  for (const char c : tensor_name) mixed = mix64(mixed, static_cast<unsigned char>(c));
  return mixed;
}

void add_dither(const Format& f, const std::byte* row, dim n, std::uint64_t seed, dim first_index, float* values) {
  std::vector<float> steps(static_cast<std::size_t>(n));
  local_steps(f, row, n, steps.data());
  for (dim j = 0; j < n; ++j)
    values[j] += (uniform_at(seed, std::uint64_t(first_index + j)) - 0.5f) * steps[std::size_t(j)];
}

}  // namespace pith
