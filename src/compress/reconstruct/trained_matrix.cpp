#include "compress/reconstruct/trained_matrix.h"

#include <algorithm>
#include <cstring>

#include "core/half.h"
#include "core/parallel.h"
#include "kernels/learned_rounding.h"
#include "ops/dense_product.h"

namespace pith {

namespace {

constexpr dim kRowsOfAThread = 4;

float sigmoid_of(float x) { return 1 / (1 + std::exp(-x)); }

// Codes of few levels survive bf16, whose products are twice as fast where there are any.
const Format& training_format(const LevelGrid& grid) {
  return has_bf16_products() && grid.top <= 15 ? bf16_format() : f32_format();
}

}  // namespace

TrainedMatrix::TrainedMatrix(BlockMatrix& matrix, const LevelGrid& grid, const LearnedParts& parts)
    : matrix_(matrix), grid_(grid), parts_(parts) {
  const dim values = matrix.rows * matrix.cols, bytes = row_bytes(*grid.format, grid.cols);
  const dim groups = grid.cols / grid.group;
  source_ = Buffer(values * dim(sizeof(float)));
  gradient_ = Buffer(values * dim(sizeof(float)));
  if (parts.rounding) v_ = Buffer(values * dim(sizeof(float)));
  ranges_ = Buffer(matrix.rows * bytes);
  std::copy_n(matrix.encoded, matrix.rows * bytes, ranges_.data());
  groups_.resize(std::size_t(matrix.rows * groups));
  Encoded weight;
  weight.format = &training_format(grid);
  weight.rows = matrix.rows;
  weight.cols = matrix.cols;
  weight.owned = Buffer(matrix.rows * row_bytes(*weight.format, matrix.cols));
  weight.data = weight.owned.data();
  weight_ = std::move(weight);

  const float start = parts.ranges == LearnedParts::Ranges::sigmoid ? float(std::log(parts.start / (1 - parts.start)))
                                                                    : float(parts.start);
  parallel_ranges(matrix.rows, kRowsOfAThread, [&](dim begin, dim end) {
    std::vector<Ends> ends(static_cast<std::size_t>(groups));
    std::vector<float> row(static_cast<std::size_t>(grid_.cols));
    for (dim r = begin; r < end; ++r) {
      matrix_.load(r, source_.as<float>() + r * grid_.cols);
      read_ends(grid_, ranges_.data() + r * bytes, ends.data());
      for (dim g = 0; g < groups; ++g) {
        Group& to = group(r, g);
        to.first = to.now = ends[std::size_t(g)];
        to.low.factor = to.high.factor = start;
      }
      if (parts_.start != 1) {
        for (dim g = 0; g < groups; ++g) ends[std::size_t(g)] = wanted(group(r, g));
        store_row(r, ends);
      }
      round_row(r, row);
    }
  });
}

Ends TrainedMatrix::wanted(const Group& g) const {
  const bool sigmoid = parts_.ranges == LearnedParts::Ranges::sigmoid;
  const float high = sigmoid ? sigmoid_of(g.high.factor) : g.high.factor;
  const float low = grid_.symmetric ? high : sigmoid ? sigmoid_of(g.low.factor) : g.low.factor;
  return {g.first.low * low, g.first.high * high};
}

RoundingGroup TrainedMatrix::rounding(dim row, dim g) {
  const Ends ends = group(row, g).now;
  const dim at = row * grid_.cols + g * grid_.group;
  return {.w = source_.as<float>() + at,
          .v = parts_.rounding ? v_.as<float>() + at : nullptr,
          .n = grid_.group,
          .low = ends.low,
          .step = (ends.high - ends.low) / float(grid_.top),
          .top = float(grid_.top)};
}

void TrainedMatrix::store_row(dim row, std::vector<Ends>& ends) {
  store_ends(grid_, ends.data(), ranges_.data() + row * row_bytes(*grid_.format, grid_.cols), ends.data());
  for (dim g = 0; g < grid_.cols / grid_.group; ++g) group(row, g).now = ends[std::size_t(g)];
}

void TrainedMatrix::round_row(dim row, std::vector<float>& values) {
  for (dim g = 0; g < grid_.cols / grid_.group; ++g) round_group(rounding(row, g), values.data() + g * grid_.group);
  Encoded& weight = std::get<Encoded>(weight_);
  std::byte* to = weight.owned.data() + row * row_bytes(*weight.format, grid_.cols);
  weight.format->encode(*weight.format, values.data(), nullptr, grid_.cols, {}, to);
}

template <class Move>
void TrainedMatrix::step(float rate, const Move& move) {
  const dim groups = grid_.cols / grid_.group;
  parallel_ranges(matrix_.rows, kRowsOfAThread, [&](dim begin, dim end) {
    std::vector<Ends> ends(static_cast<std::size_t>(groups));
    std::vector<float> row(static_cast<std::size_t>(grid_.cols));
    for (dim r = begin; r < end; ++r) {
      float* slope = gradient() + r * grid_.cols;
      for (dim g = 0; g < groups; ++g) {
        Group& of = group(r, g);
        const RangeSlopes s = rounding_backward(rounding(r, g), slope + g * grid_.group, rate);
        if (grid_.symmetric) {
          move(of.high, s.high * of.first.high + s.low * of.first.low);
        } else {
          move(of.high, s.high * of.first.high);
          move(of.low, s.low * of.first.low);
        }
        ends[std::size_t(g)] = wanted(of);
      }
      if (parts_.ranges != LearnedParts::Ranges::fixed) store_row(r, ends);
      round_row(r, row);
      std::fill_n(slope, grid_.cols, 0.0f);
    }
  });
}

void TrainedMatrix::step_by_sign(float rate, float range_rate) {
  constexpr float kLeast = 0.1f, kMost = 1.5f;  // of what the range was
  const bool moves = parts_.ranges == LearnedParts::Ranges::linear;
  step(rate, [&](End& end, float slope) {
    if (!moves || slope == 0) return;
    end.factor = std::clamp(end.factor - (slope > 0 ? range_rate : -range_rate), kLeast, kMost);
  });
}

void TrainedMatrix::step_by_adam(const AdamStep& adam) {
  step(0, [&](End& end, float slope) {
    const float s = sigmoid_of(end.factor);
    end.factor += adam_move(end.moments, slope * s * (1 - s), adam);
  });
}

void TrainedMatrix::encode() {
  const dim bytes = row_bytes(*grid_.format, grid_.cols);
  parallel_ranges(matrix_.rows, kRowsOfAThread, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(grid_.cols));
    for (dim r = begin; r < end; ++r) {
      for (dim g = 0; g < grid_.cols / grid_.group; ++g) round_group(rounding(r, g), row.data() + g * grid_.group);
      std::byte* to = matrix_.encoded + r * bytes;
      std::copy_n(ranges_.data() + r * bytes, bytes, to);
      put_row(grid_, row.data(), to);
    }
  });
}

}  // namespace pith
