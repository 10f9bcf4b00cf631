#include "compress/prune/sparse_feedback.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/gemm.h"

namespace pith {

namespace {

constexpr dim kGroup = kGemmWidth;
constexpr dim kBlock = 128;  // columns among which values are compared
constexpr dim kRowsAtOnce = 48;

class SparseWalk {
 public:
  // pruned: what stays is known, and the ranges fit these values; null: to be found, in a dense format.
  SparseWalk(const ScaledMatrix& m, const Format& format, const Feedback& f, const Pruning& p,
             const SparseFeedbackResult* pruned)
      : m_(m),
        f_(f),
        p_(p),
        pruned_(pruned),
        format_(format),
        fit_(format_.block > 0 ? format_.block : m.cols),
        fit_bytes_(format_.block > 0 ? format_.block_bytes : row_bytes(format_, m.cols)),
        row_bytes_(row_bytes(format_, m.cols)),
        values_(std::size_t(m.rows * m.cols)),
        error_(values_.size()) {
    block_ = p.pattern() ? std::lcm(kGroup, p.of) : kBlock;
    block_ *= std::max<dim>(1, kBlock / block_);
    block_ = std::min(block_, (m.cols + kGroup - 1) / kGroup * kGroup);
    out_.rows.resize(std::size_t(m.rows * row_bytes_));
    if (pruned)
      out_.kept = pruned->kept;
    else
      out_.kept.resize(values_.size(), 1);
    moved_.resize(std::size_t(m.rows * block_));
    scores_.resize(p.pattern() || pruned ? 0 : moved_.size());
  }

  SparseFeedbackResult run() {
    over_rows([&](dim r) {
      m_.load(r, values_.data() + r * m_.cols);
      if (pruned_) fit(r);
    });
    for (dim begin = 0; begin < m_.cols; begin += block_) block(begin, std::min(m_.cols, begin + block_));
    return std::move(out_);
  }

 private:
  template <class Each>
  void over_rows(const Each& each) {
    parallel_ranges(m_.rows, kRowsAtOnce / 4, [&](dim first, dim last) {
      for (dim r = first; r < last; ++r) each(r);
    });
  }

  std::byte* block_of(dim row, dim column) { return out_.rows.data() + row * row_bytes_ + column / fit_ * fit_bytes_; }
  void fit(dim row) {
    std::vector<float> values(static_cast<std::size_t>(m_.cols)), weights(f_.cost);
    f32_format().decode(f32_format(), pruned_->rows.data() + row * m_.cols * 4, m_.cols, values.data());
    for (dim c = 0; c < m_.cols; ++c)
      if (!out_.kept[std::size_t(row * m_.cols + c)]) weights[std::size_t(c)] = 0;
    for (dim begin = 0; begin < m_.cols; begin += fit_)
      format_.fit(format_, values.data() + begin, weights.data() + begin, fit_, {}, block_of(row, begin));
  }

  void block(dim begin, dim end) {
    const dim width = end - begin;
    parallel_ranges(m_.rows, kRowsAtOnce / 4, [&](dim first, dim last) {
      for (dim r = first; r < last; r += kRowsAtOnce) gather(r, std::min(last, r + kRowsAtOnce), begin, end);
    });
    if (!pruned_ && !p_.pattern()) select(begin, width);
    over_rows([&](dim r) { walk(r, begin, end); });
  }

  // moved_ (rows, block): what the errors before `begin` ask for, added to the values.
  void gather(dim first, dim last, dim begin, dim end) {
    for (dim g = begin / kGroup; g * kGroup < end; ++g) {
      float* out = moved_.data() + first * block_ + g * kGroup - begin;
      if (begin == 0)
        for (dim r = first; r < last; ++r) std::fill_n(out + (r - first) * block_, kGroup, 0.0f);
      else
        gemm({.m = last - first,
              .n = kGroup,
              .k = begin,
              .a = error_.data() + first * m_.cols,
              .a_row = m_.cols,
              .a_col = 1,
              .b = f_.group(g),
              .c = out,
              .c_row = block_});
    }
    for (dim r = first; r < last; ++r)
      for (dim c = begin; c < end; ++c)
        moved_[std::size_t(r * block_ + c - begin)] += values_[std::size_t(r * m_.cols + c)];
  }

  float score(float t, dim column) const { return t * t * f_.cost[std::size_t(column)]; }

  void select(dim begin, dim width) {
    const bool whole = p_.scope == PruneScope::matrix;
    std::vector<std::uint8_t> kept(static_cast<std::size_t>(whole ? m_.rows * width : 0));
    over_rows([&](dim r) {
      float* scores = scores_.data() + r * width;
      for (dim c = 0; c < width; ++c) scores[c] = score(moved_[std::size_t(r * block_ + c)], begin + c);
      if (!whole)
        drop_lowest(std::span(scores, std::size_t(width)), p_.dropped(1, begin, begin + width),
                    out_.kept.data() + r * m_.cols + begin);
    });
    if (!whole) return;
    drop_lowest(std::span(scores_).first(kept.size()), p_.dropped(m_.rows, begin, begin + width), kept.data());
    for (dim r = 0; r < m_.rows; ++r)
      std::copy_n(kept.data() + r * width, width, out_.kept.data() + r * m_.cols + begin);
  }

  // With the errors of this block, too.
  float target(dim row, dim column, dim begin, dim up_to) const {
    float t = moved_[std::size_t(row * block_ + column - begin)];
    const float* coefficients = f_.group(column / kGroup) + column % kGroup;
    const float* error = error_.data() + row * m_.cols;
    for (dim j = begin; j < up_to; ++j) t += error[j] * coefficients[j * kGroup];
    return t;
  }

  void walk(dim r, dim begin, dim end) {
    std::uint8_t* kept = out_.kept.data() + r * m_.cols;
    for (dim c = begin; c < end; ++c) {
      if (!pruned_ && p_.pattern() && c % p_.of == 0) select_pattern(r, c, begin);
      const float t = kept[c] ? target(r, c, begin, c) : 0;
      const float now = format_.put(format_, block_of(r, c), fit_, c % fit_, t);
      error_[std::size_t(r * m_.cols + c)] = values_[std::size_t(r * m_.cols + c)] - now;
    }
  }

  void select_pattern(dim r, dim first, dim begin) {
    std::vector<float> scores;
    for (dim c = first; c < std::min(m_.cols, first + p_.of); ++c)
      scores.push_back(score(target(r, c, begin, first), c));
    drop_by_pattern(p_, scores, out_.kept.data() + r * m_.cols + first);
  }

  const ScaledMatrix& m_;
  const Feedback& f_;
  const Pruning& p_;
  const SparseFeedbackResult* pruned_;
  const Format& format_;
  dim fit_, fit_bytes_, row_bytes_, block_ = 0;  // fit_: values that share a range
  std::vector<float> values_, error_;            // (rows, cols); error: w - w'
  std::vector<float> moved_, scores_;
  SparseFeedbackResult out_;
};

}  // namespace

SparseFeedbackResult prune_with_feedback(const ScaledMatrix& m, const Feedback& f, const Pruning& p) {
  PITH_CHECK(f.n == m.cols && !f.permuted && m.format->joint == 1 && fits(*m.format, m.cols));
  if (m.format->block == 1) return SparseWalk(m, *m.format, f, p, nullptr).run();
  const SparseFeedbackResult pruned = SparseWalk(m, f32_format(), f, p, nullptr).run();
  return SparseWalk(m, *m.format, f, p, &pruned).run();
}

}  // namespace pith
