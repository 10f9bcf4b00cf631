#include "compress/quantize/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/quantize/outliers.h"
#include "core/error.h"
#include "core/parallel.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "math/cholesky.h"

namespace pith {

namespace {

constexpr dim kGroup = kGemmWidth;
constexpr dim kShared = 8;  // values that share codes in the formats that have such

std::vector<dim> order_of(const SecondMoment& h, const FeedbackOptions& options) {
  std::vector<dim> order(std::size_t(h.size()));
  std::iota(order.begin(), order.end(), 0);
  if (options.act_order)
    std::stable_sort(order.begin(), order.end(), [&](dim a, dim b) { return h.at(a, a) > h.at(b, b); });
  if (options.last.empty()) return order;
  std::vector<bool> is_last(order.size());
  for (const std::int32_t c : options.last) is_last[std::size_t(c)] = true;
  std::erase_if(order, [&](dim c) { return is_last[std::size_t(c)]; });
  order.insert(order.end(), options.last.begin(), options.last.end());
  PITH_CHECK(dim(order.size()) == h.size());
  return order;
}

double mean_of_diagonal(const SecondMoment& h) {
  double sum = 0;
  for (dim i = 0; i < h.size(); ++i) sum += h.at(i, i);
  if (!std::isfinite(sum)) throw input_error("calibration", "expected finite activations");
  return sum / double(std::max<dim>(1, h.size()));
}

// H / rows, in `order`, with damping.
void fill(const SecondMoment& h, const std::vector<dim>& order, double damping, double* out) {
  const dim n = h.size();
  const double scale = 1 / double(std::max<dim>(1, h.rows()));
  parallel_for(
      n,
      [&](dim i) {
        for (dim j = 0; j < n; ++j) out[i * n + j] = h.at(order[std::size_t(i)], order[std::size_t(j)]) * scale;
        out[i * n + i] += damping;
      },
      16);
}

// The damping that was used, with its factor in r.
double factor(const SecondMoment& h, const std::vector<dim>& order, double damping, double* r) {
  const double mean = mean_of_diagonal(h) / double(std::max<dim>(1, h.rows()));
  double used = std::max(damping, 1e-8);
  for (int attempt = 0; attempt < 12; ++attempt, used *= 10) {
    const double added = mean > 0 ? used * mean : 1;
    fill(h, order, added, r);
    if (factor_upper(r, h.size())) return used;
  }
  throw input_error("calibration", "expected activations whose products can be factored");
}

void take_coefficients(const double* r, Feedback& f) {
  const dim n = f.n, groups = (n + kGroup - 1) / kGroup;
  f.coefficients = Buffer(kGroup * kGroup * groups * (groups + 1) / 2 * dim(sizeof(float)));
  f.cost.resize(std::size_t(n));
  for (dim k = 0; k < n; ++k) f.cost[std::size_t(f.order[std::size_t(k)])] = float(r[k * n + k] * r[k * n + k]);
  f.in_group.resize(std::size_t(n));
  for (dim k = 0; k < n; ++k) {
    double sum = 0;
    for (dim j = k; j < std::min(n, k / kShared * kShared + kShared); ++j) sum += r[k * n + j] * r[k * n + j];
    f.in_group[std::size_t(f.order[std::size_t(k)])] = float(sum);
  }
  parallel_for(groups, [&](dim g) {
    float* out = f.coefficients.as<float>() + kGroup * kGroup * g * (g + 1) / 2;
    for (dim j = 0; j < std::min(n, (g + 1) * kGroup); ++j)
      for (dim k = g * kGroup; k < std::min(n, (g + 1) * kGroup); ++k)
        out[j * kGroup + k - g * kGroup] = float(r[j * n + k] / r[k * n + k]);
  });
}

}  // namespace

std::unique_ptr<Feedback> make_feedback(const SecondMoment& moment, const FeedbackOptions& options) {
  auto f = std::make_unique<Feedback>();
  const dim n = f->n = moment.size();
  f->order = order_of(moment, options);
  f->permuted = !std::is_sorted(f->order.begin(), f->order.end());
  Buffer r(n * n * dim(sizeof(double)));
  const double used = factor(moment, f->order, options.damping, r.as<double>());
  if (used > options.damping) f->note = fmt::format("damping was raised to {:g}", used);
  take_coefficients(r.as<double>(), *f);
  std::vector<dim> plain(f->order);
  std::sort(plain.begin(), plain.end());
  const double mean = mean_of_diagonal(moment) / double(std::max<dim>(1, moment.rows()));
  fill(moment, plain, mean > 0 ? used * mean : 1, r.as<double>());
  f->h = Buffer(n * n * dim(sizeof(float)));
  parallel_for(
      n * n, [&](dim i) { f->h.as<float>()[i] = float(r.as<double>()[i]); }, dim(1) << 14);
  for (dim i = 0; i < n; ++i) f->alone.push_back(f->h.as<float>()[i * n + i]);
  return f;
}

namespace {

// The rows of a task on their way through the columns, by one thread.
class Walk {
 public:
  Walk(const Feedback& feedback, const LayerTask& task, const RangeSearch& search)
      : f_(feedback),
        task_(task),
        format_(*task.format),
        search_(search),
        n_(task.cols),
        block_(format_.block > 0 ? format_.block : task.cols),
        block_bytes_(format_.block > 0 ? format_.block_bytes : row_bytes(format_, task.cols)),
        error_(std::size_t(task.rows * task.cols)),
        moved_(std::size_t(task.rows * std::max(kGroup, block_ + kGroup))),
        fitted_(std::size_t(block_)),
        fitted_weights_(std::size_t(block_)) {}

  void run() {
    PITH_CHECK(format_.joint == 1 || task_.outliers == 0);
    find_apart();
    if (format_.joint > 1)
      for (dim begin = 0; begin < n_; begin += block_) shared_codes(begin);
    else if (f_.permuted || block_ % kGroup != 0)
      any_order();
    else
      for (dim begin = 0; begin < n_; begin += block_) block_by_block(begin);
  }

 private:
  // apart_[row * n + column]: one more than the place among the row's outliers, 0 for all other values.
  void find_apart() {
    if (task_.outliers == 0) return;
    apart_.assign(std::size_t(task_.rows * n_), 0);
    for (dim r = 0; r < task_.rows; ++r)
      for (dim i = 0; i < task_.outliers; ++i)
        apart_[std::size_t(r * n_ + task_.outlier_columns[r * task_.outliers + i])] = std::int32_t(i + 1);
  }

  // Rounds t, or keeps it apart; what it decodes to.
  float put(dim row, dim column, float t) {
    if (weights(row)[column] == 0) t = 0;
    const float coded = format_.put(format_, block_of(row, column), block_, column % block_, t);
    const std::int32_t place = apart_.empty() ? 0 : apart_[std::size_t(row * n_ + column)];
    if (place == 0) return coded;
    const float added = as_stored_apart(t - coded);
    task_.outlier_values[row * task_.outliers + place - 1] = added;
    return coded + added;
  }

  const float* weights(dim row) const { return task_.source + row * n_; }
  std::byte* block_of(dim row, dim column) const {
    return task_.out + row * row_bytes(format_, n_) + column / block_ * block_bytes_;
  }

  // What the errors at places before `depth` add to places [16 g, 16 g + 16): (rows, 16) at moved_ + 16 * slot,
  // rows `stride` apart.
  void gather(dim g, dim depth, dim slot, dim stride) {
    float* out = moved_.data() + slot;
    if (depth == 0) {
      for (dim r = 0; r < task_.rows; ++r) std::fill_n(out + r * stride, kGroup, 0.0f);
      return;
    }
    gemm({.m = task_.rows,
          .n = kGroup,
          .k = depth,
          .a = error_.data(),
          .a_row = n_,
          .a_col = 1,
          .b = f_.group(g),
          .c = out,
          .c_row = stride});
  }

  // Rounds places [16 g, ...) whose earlier errors are in moved_ at `slot`.
  void round_group(dim g, dim slot, dim stride, dim depth) {
    const dim first = g * kGroup, last = std::min(n_, first + kGroup);
    const float* coefficients = f_.group(g);
    for (dim r = 0; r < task_.rows; ++r) {
      float* error = error_.data() + r * n_;
      const float* moved = moved_.data() + slot + r * stride;
      for (dim k = first; k < last; ++k) {
        const dim column = f_.order[std::size_t(k)];
        const float w = weights(r)[column];
        float t = w + moved[k - first];
        for (dim j = depth; j < k; ++j) t += error[j] * coefficients[j * kGroup + k - first];
        error[k] = w - put(r, column, t);
      }
    }
  }

  void fit(dim row, dim begin, const float* values, const float* importance) {
    const bool some =
        !apart_.empty() && std::any_of(apart_.begin() + row * n_ + begin, apart_.begin() + row * n_ + begin + block_,
                                       [](std::int32_t place) { return place > 0; });
    if (some) {
      std::copy_n(values, block_, fitted_.begin());
      std::copy_n(importance, block_, fitted_weights_.begin());
      fill_gaps(std::span(apart_).subspan(std::size_t(row * n_ + begin), std::size_t(block_)), fitted_,
                fitted_weights_);
      values = fitted_.data();
      importance = fitted_weights_.data();
    }
    format_.fit(format_, values, importance, block_, search_, block_of(row, begin));
  }

  void any_order() {
    for (dim r = 0; r < task_.rows; ++r)
      for (dim begin = 0; begin < n_; begin += block_) fit(r, begin, weights(r) + begin, importance(begin));
    for (dim g = 0; g * kGroup < n_; ++g) {
      gather(g, g * kGroup, 0, kGroup);
      round_group(g, 0, kGroup, g * kGroup);
    }
  }

  const float* importance(dim begin) const { return f_.cost.data() + begin; }

  // Gathers for all groups of a block, (rows, block), and adds the weights.
  dim gather_block(dim begin) {
    const dim stride = (block_ + kGroup - 1) / kGroup * kGroup;
    const dim first_group = begin / kGroup;
    for (dim g = first_group; g * kGroup < begin + block_; ++g) gather(g, begin, (g - first_group) * kGroup, stride);
    return stride;
  }

  void block_by_block(dim begin) {
    const dim stride = gather_block(begin);
    std::vector<float> values(static_cast<std::size_t>(block_));
    for (dim r = 0; r < task_.rows; ++r) {
      for (dim c = 0; c < block_; ++c)
        values[std::size_t(c)] = weights(r)[begin + c] + moved_[std::size_t(r * stride + c)];
      fit(r, begin, values.data(), importance(begin));
    }
    for (dim c = 0; c < block_; c += kGroup) round_group((begin + c) / kGroup, c, stride, begin);
  }

  // Scales come from the whole block; then its groups, each with the errors of those before.
  void shared_codes(dim begin) {
    PITH_CHECK(begin % kGroup == 0 && (block_ % kGroup == 0 || block_ == n_));
    PITH_CHECK(format_.group == kShared && !f_.permuted);
    const dim stride = gather_block(begin);
    std::vector<float> values(static_cast<std::size_t>(block_));
    for (dim r = 0; r < task_.rows; ++r) {
      const float* moved = moved_.data() + r * stride;
      for (dim c = 0; c < block_; ++c) values[std::size_t(c)] = weights(r)[begin + c] + moved[c];
      format_.fit(format_, values.data(), f_.in_group.data() + begin, block_, search_, block_of(r, begin));
    }
    for (dim c = 0; c < block_; c += kGroup) round_shared((begin + c) / kGroup, c, stride, begin);
  }

  // Places [16 g, ...) in groups of 8: as round_group, but a group at a time.
  void round_shared(dim g, dim slot, dim stride, dim depth) {
    const float* coefficients = f_.group(g);
    float target[kShared], decoded[kShared];
    for (dim r = 0; r < task_.rows; ++r) {
      float* error = error_.data() + r * n_;
      const float* moved = moved_.data() + slot + r * stride;
      for (dim first = g * kGroup; first < std::min(n_, (g + 1) * kGroup); first += kShared) {
        const dim count = std::min(kShared, n_ - first);
        for (dim i = 0; i < count; ++i) {
          const dim k = first + i;
          target[i] = weights(r)[k] + moved[k - g * kGroup];
          for (dim j = depth; j < first; ++j) target[i] += error[j] * coefficients[j * kGroup + k - g * kGroup];
        }
        std::byte* block = block_of(r, first);
        format_.put_group(format_, block, block_, first % block_, target, f_.in_group.data() + first, decoded);
        for (dim i = 0; i < count; ++i) error[first + i] = weights(r)[first + i] - decoded[i];
      }
    }
  }

  const Feedback& f_;
  const LayerTask& task_;
  const Format& format_;
  const RangeSearch& search_;
  dim n_, block_, block_bytes_;
  std::vector<float> error_;  // (rows, n) by place: w - w'
  std::vector<float> moved_;
  std::vector<std::int32_t> apart_;             // empty where nothing is kept apart
  std::vector<float> fitted_, fitted_weights_;  // of a block
};

}  // namespace

void round_with_feedback(const Feedback& feedback, const LayerTask& task, const RangeSearch& search) {
  PITH_CHECK(feedback.n == task.cols && fits(*task.format, task.cols));
  Walk(feedback, task, search).run();
}

// The values of a row, outliers added, and for each column one more than its place among them.
static void decode_apart(const LayerTask& task, dim row, std::vector<float>& now, std::vector<std::int32_t>& apart) {
  const Format& f = *task.format;
  f.decode(f, task.out + row * row_bytes(f, task.cols), task.cols, now.data());
  std::fill(apart.begin(), apart.end(), 0);
  for (dim i = 0; i < task.outliers; ++i) {
    const auto column = std::size_t(task.outlier_columns[row * task.outliers + i]);
    now[column] += task.outlier_values[row * task.outliers + i];
    apart[column] = std::int32_t(i + 1);
  }
}

void polish(const Feedback& f, const LayerTask& task, int sweeps, const std::uint8_t* kept) {
  if (sweeps == 0) return;
  const Format& format = *task.format;
  const dim n = task.cols, bytes = row_bytes(format, n), block = format.block > 0 ? format.block : n;
  const dim block_bytes = format.block > 0 ? format.block_bytes : bytes;
  std::vector<float> now(static_cast<std::size_t>(n)), pull(static_cast<std::size_t>(n));
  std::vector<std::int32_t> apart(static_cast<std::size_t>(n));
  const float* h = f.h.as<float>();
  for (dim r = 0; r < task.rows; ++r) {
    std::byte* row = task.out + r * bytes;
    decode_apart(task, r, now, apart);
    std::fill(pull.begin(), pull.end(), 0.0f);
    for (dim j = 0; j < n; ++j) add_scaled(pull.data(), h + j * n, task.source[r * n + j] - now[std::size_t(j)], n);
    bool moved = true;
    for (int sweep = 0; sweep < sweeps && moved; ++sweep) {
      moved = false;
      for (dim j = 0; j < n; ++j) {
        if (task.source[r * n + j] == 0 || (kept && !kept[r * n + j])) continue;
        float& value = now[std::size_t(j)];
        const float best = value + pull[std::size_t(j)] / h[j * n + j];
        float next = format.put(format, row + j / block * block_bytes, block, j % block, best);
        if (const std::int32_t place = apart[std::size_t(j)]; place > 0) {
          float& added = task.outlier_values[r * task.outliers + place - 1];
          added = as_stored_apart(best - next);
          next += added;
        }
        if (next == value) continue;
        add_scaled(pull.data(), h + j * n, value - next, n);
        value = next;
        moved = true;
      }
    }
  }
}

}  // namespace pith
