// HQQ: what large errors stand out is taken off the weights before their ranges are fitted, so that the ranges serve
// the many small ones. Sees no data.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

struct HalfQuadratic {
  double p, beta, growth;
  int rounds;
};

// Argmin over e of |e|^p + beta/2 (e - d)^2, as HQQ approximates it.
double shrink(double d, double p, double beta) {
  const double size = std::fabs(d);
  if (size == 0) return 0;
  return std::copysign(std::max(0.0, size - std::pow(size, p - 1) / beta), d);
}

// One thread's work on blocks of one format.
class Rounder {
 public:
  Rounder(const Format& format, dim n, const HalfQuadratic& loop)
      : format_(format),
        n_(n),
        loop_(loop),
        values_(std::size_t(n)),
        decoded_(std::size_t(n)),
        codes_(std::size_t(row_bytes(format, n))) {}

  // Leaves in out the codes of the least sum of weight * |error|^p that lose no more in squares than the plain range.
  void run(const float* x, const float* importance, const RangeSearch& range, std::byte* out) {
    x_ = x;
    importance_ = importance;
    out_ = out;
    least_ = most_squares_ = -1;
    encode(x, {RangeSearch::Kind::minmax, range.p, range.steps});
    keep_if_better();
    encode(x, range);
    keep_if_better();
    format_.decode(format_, out, n_, decoded_.data());
    const double unit = mean_error();
    if (unit == 0) return;
    double beta = loop_.beta;
    for (int round = 0; round < loop_.rounds; ++round, beta *= loop_.growth) {
      for (dim c = 0; c < n_; ++c)
        values_[std::size_t(c)] = float(x[c] - unit * shrink(error(c) / unit, loop_.p, beta));
      fit(range);
      if (!keep_if_better()) break;
    }
  }

 private:
  double error(dim c) const { return double(x_[c]) - double(decoded_[std::size_t(c)]); }

  void encode(const float* x, const RangeSearch& range) {
    format_.encode(format_, x, importance_, n_, range, codes_.data());
  }

  // Ranges for `values_`, then the codes nearest to x.
  void fit(const RangeSearch& range) {
    format_.fit(format_, values_.data(), importance_, n_, range, codes_.data());
    for (dim c = 0; c < n_; ++c) format_.put(format_, codes_.data(), n_, c, x_[c]);
  }

  bool keep_if_better() {
    format_.decode(format_, codes_.data(), n_, decoded_.data());
    double now = 0, squares = 0;
    for (dim c = 0; c < n_; ++c) {
      const double e = error(c), weight = importance_ ? double(importance_[c]) : 1;
      now += weight * std::pow(std::fabs(e), loop_.p);
      squares += weight * e * e;
    }
    if (least_ < 0) most_squares_ = squares;
    if (!(squares <= most_squares_) || (least_ >= 0 && !(now < least_))) return false;
    least_ = now;
    std::memcpy(out_, codes_.data(), codes_.size());
    return true;
  }

  double mean_error() const {
    double sum = 0;
    for (dim c = 0; c < n_; ++c) sum += std::fabs(error(c));
    return sum / double(n_);
  }

  const Format& format_;
  dim n_;
  const HalfQuadratic& loop_;
  std::vector<float> values_, decoded_;
  std::vector<std::byte> codes_;
  const float *x_ = nullptr, *importance_ = nullptr;
  std::byte* out_ = nullptr;
  double least_ = -1, most_squares_ = -1;
};

void hqq_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const Format& format = *task.format;
  const HalfQuadratic loop{options.number("lp"), options.number("beta"), options.number("growth"),
                           int(options.number("rounds"))};
  const RangeSearch range = range_search(options);
  if (format.joint > 1)
    return round_to_nearest(task, range);  // codes of several values have no single errors to take off
  const dim block = format.block > 0 ? format.block : task.cols, bytes = row_bytes(format, task.cols);
  const dim block_bytes = format.block > 0 ? format.block_bytes : bytes;
  Rounder rounder(format, block, loop);
  for (dim r = 0; r < task.rows; ++r)
    for (dim begin = 0; begin < task.cols; begin += block)
      rounder.run(task.source + r * task.cols + begin, task.importance ? task.importance + begin : nullptr, range,
                  task.out + r * bytes + begin / block * block_bytes);
}

}  // namespace

extern const Method hqq_method;
const Method hqq_method{
    .name = "hqq",
    .family = "quantization",
    .summary = "fits ranges to the weights without their outlying errors, in rounds; sees no data",
    .paper = "HQQ (mobiusml.github.io/hqq_blog, 2023)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "lp",
             .default_value = "0.7",
             .help = "the power of errors whose sum is lessened; below 1 outliers count little",
             .choices = {},
             .low = 0.1,
             .high = 1},
            {.name = "beta",
             .default_value = "1",
             .help = "how much of an error is taken off at first, where errors are 1 in the mean",
             .choices = {},
             .low = 0.01,
             .high = 1e6},
            {.name = "growth",
             .default_value = "1.01",
             .help = "of beta from round to round",
             .choices = {},
             .low = 1,
             .high = 10},
            {.name = "rounds",
             .default_value = "20",
             .help = "at most; it stops where a round gains nothing",
             .choices = {},
             .low = 1,
             .high = 1000},
        },
    .layer = hqq_layer,
};

}  // namespace pith
