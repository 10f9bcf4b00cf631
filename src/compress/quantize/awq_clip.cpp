#include "compress/quantize/awq_clip.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/gemm.h"

namespace pith {

namespace {

constexpr dim kLongestBlock = 512;
constexpr int kSteps = 10;
constexpr float kStep = 0.05f;

// One thread's work on blocks of one format.
class Clipper {
 public:
  Clipper(const ClipState& clip, const Format& format, const RangeSearch& range)
      : clip_(clip),
        format_(format),
        range_(range),
        cut_(std::size_t(clip.block)),
        decoded_(cut_.size()),
        codes_(std::size_t(format.block_bytes)) {}

  void run(const float* x, dim begin, std::byte* out) {
    const dim n = clip_.block;
    float largest = 0;
    for (dim c = 0; c < n; ++c) largest = std::max(largest, std::fabs(x[c]));
    double least = 0;
    for (int i = 0; i < kSteps; ++i) {
      const float bound = i == 0 ? largest : largest * (1 - kStep * float(i));
      for (dim c = 0; c < n; ++c) cut_[std::size_t(c)] = std::clamp(x[c], -bound, bound);
      format_.encode(format_, cut_.data(), clip_.alone.data() + begin, n, range_, codes_.data());
      const double now = error(x, begin);
      if (i > 0 && !(now < least)) continue;
      least = now;
      std::memcpy(out, codes_.data(), codes_.size());
    }
  }

 private:
  // Of the codes at hand: e H e^T.
  double error(const float* x, dim begin) {
    const dim n = clip_.block;
    format_.decode(format_, codes_.data(), n, decoded_.data());
    for (dim c = 0; c < n; ++c) decoded_[std::size_t(c)] -= x[c];
    const float* h = clip_.moments.as<float>() + begin * n;
    double sum = 0;
    for (dim c = 0; c < n; ++c) sum += double(decoded_[std::size_t(c)]) * double(dot(h + c * n, decoded_.data(), n));
    return sum;
  }

  const ClipState& clip_;
  const Format& format_;
  const RangeSearch& range_;
  std::vector<float> cut_, decoded_;
  std::vector<std::byte> codes_;
};

}  // namespace

std::unique_ptr<ClipState> make_clip(const InputStats& stats, const Format& format) {
  if (format.block < 1 || format.block > kLongestBlock) return nullptr;
  PITH_CHECK(stats.moment && fits(format, stats.cols));
  auto clip = std::make_unique<ClipState>();
  const dim n = clip->block = format.block;
  clip->cols = stats.cols;
  clip->alone = stats.mean_squares();
  clip->moments = Buffer(stats.cols * n * dim(sizeof(float)));
  const double scale = 1 / double(std::max<dim>(1, stats.tokens));
  parallel_for(stats.cols, [&](dim c) {
    const dim begin = c / n * n;
    float* out = clip->moments.as<float>() + c * n;
    for (dim j = 0; j < n; ++j) out[j] = float(stats.moment->at(c, begin + j) * scale);
  });
  return clip;
}

void round_with_clip(const ClipState& clip, const LayerTask& task, const RangeSearch& range) {
  PITH_CHECK(clip.cols == task.cols && clip.block == task.format->block);
  Clipper clipper(clip, *task.format, range);
  const dim bytes = row_bytes(*task.format, task.cols);
  for (dim r = 0; r < task.rows; ++r)
    for (dim begin = 0; begin < task.cols; begin += clip.block)
      clipper.run(task.source + r * task.cols + begin, begin,
                  task.out + r * bytes + begin / clip.block * task.format->block_bytes);
}

}  // namespace pith
