#include "compress/input_stats.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"

namespace pith {

InputStats::InputStats(dim columns, bool with_moment) : cols(columns) {
  squares.resize(std::size_t(cols));
  magnitudes.resize(std::size_t(cols));
  peaks.resize(std::size_t(cols));
  sums.resize(std::size_t(cols));
  if (with_moment) moment.emplace(cols);
}

void InputStats::add(const float* x, dim rows) {
  constexpr dim kColumns = 64;  // of one thread, at least
  parallel_ranges(cols, kColumns, [&](dim begin, dim end) {
    for (dim r = 0; r < rows; ++r)
      for (dim c = begin; c < end; ++c) {
        const float v = x[r * cols + c], size = std::fabs(v);
        squares[std::size_t(c)] += double(v) * v;
        magnitudes[std::size_t(c)] += size;
        sums[std::size_t(c)] += double(v);
        peaks[std::size_t(c)] = std::max(peaks[std::size_t(c)], size);
      }
  });
  if (moment) moment->add(x, rows);
  tokens += rows;
}

void InputStats::clear() {
  for (std::vector<double>* values : {&squares, &magnitudes, &sums}) std::fill(values->begin(), values->end(), 0.0);
  std::fill(peaks.begin(), peaks.end(), 0.0f);
  tokens = 0;
  if (moment) moment->clear();
}

void InputStats::add_in_order(const InputStats& part, Group& group, int parts) {
  group.add_in_order(part.squares, squares, parts);
  group.add_in_order(part.magnitudes, magnitudes, parts);
  group.add_in_order(part.sums, sums, parts);
  for (std::size_t c = 0; c < peaks.size(); ++c) peaks[c] = std::max(peaks[c], part.peaks[c]);
  group.largest(peaks);
  auto count = double(tokens);
  const auto more = double(part.tokens);
  group.add_in_order(std::span(&more, 1), {&count, 1}, parts);
  tokens = dim(count);
  if (moment) moment->add_in_order(*part.moment, group, parts);
}

void InputStats::divide(std::span<const float> factors) {
  for (std::size_t c = 0; c < squares.size(); ++c) {
    squares[c] /= double(factors[c]) * double(factors[c]);
    magnitudes[c] /= double(factors[c]);
    sums[c] /= double(factors[c]);
    peaks[c] /= factors[c];
  }
  if (moment) moment->divide(factors.data());
}

std::vector<float> InputStats::mean_squares() const {
  std::vector<float> out(squares.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = float(squares[i] / double(std::max<dim>(1, tokens)));
  return out;
}

}  // namespace pith
