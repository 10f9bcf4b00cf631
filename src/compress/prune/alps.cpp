// ALPS: which values stay, and what they become, found together. A dense copy of the matrix that answers to the inputs
// and a sparse one that answers to the count are drawn to each other, ever more firmly, until the choice rests (ADMM);
// then what stays is solved for exactly (conjugate gradients on all rows at once).
#include <algorithm>
#include <cmath>

#include "compress/policy.h"
#include "compress/prune/pruned_matrix.h"
#include "compress/quantize/feedback_options.h"
#include "core/error.h"
#include "core/parallel.h"
#include "math/eigen.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

using Matrix = std::vector<double>;

// H of the inputs with columns scaled to a diagonal of 1, and its eigenvectors.
struct Inputs : LayerState {
  std::unique_ptr<Feedback> feedback;
  std::vector<double> scale;  // (n) the roots of the diagonal
  Matrix h, vectors;          // (n, n); row k of vectors belongs to values[k]
  std::vector<double> values;
};

std::unique_ptr<LayerState> prepare(const InputStats& stats, const Format&, const Options& options) {
  PITH_CHECK(stats.moment);
  auto out = std::make_unique<Inputs>();
  out->feedback = make_feedback(*stats.moment, {.damping = options.number("damping"), .act_order = false});
  out->note = out->feedback->note;
  const dim n = out->feedback->n;
  const auto* h = out->feedback->h.as<float>();
  for (dim c = 0; c < n; ++c) out->scale.push_back(std::sqrt(double(h[c * n + c])));
  out->h.resize(std::size_t(n * n));
  for (dim r = 0; r < n; ++r)
    for (dim c = 0; c < n; ++c)
      out->h[std::size_t(r * n + c)] = double(h[r * n + c]) / (out->scale[std::size_t(r)] * out->scale[std::size_t(c)]);
  out->vectors = out->h;
  out->values.resize(std::size_t(n));
  if (!eigen_symmetric(out->vectors.data(), n, out->values.data()))
    throw input_error("alps", "expected finite activations");
  return out;
}

// All of a matrix, (rows, cols), scaled as Inputs::h is.
class Search {
 public:
  Search(const ScaledMatrix& m, const Inputs& in, const Pruning& pruning)
      : m_(m), in_(in), pruning_(pruning), w_(load()), wh_(times(w_, in.h)) {}

  // What stays, at the end of the search.
  std::vector<std::uint8_t> choose(int most_rounds) {
    constexpr int kEvery = 3;  // rounds between looks at the choice
    const double all = double(w_.size()) - double(pruning_.dropped(m_.rows, 0, m_.cols));
    Matrix sparse = w_, dual(w_.size()), dense;
    double rho = 0.1;
    std::vector<std::uint8_t> kept, before;
    for (int round = 0; round < most_rounds; ++round) {
      dense = nearest_dense(sparse, dual, rho);
      for (std::size_t i = 0; i < dense.size(); ++i) sparse[i] = dense[i] + dual[i] / rho;
      kept = select(sparse);
      for (std::size_t i = 0; i < dense.size(); ++i) {
        if (!kept[i]) sparse[i] = 0;
        dual[i] += rho * (dense[i] - sparse[i]);
      }
      if (round % kEvery != kEvery - 1) continue;
      double changed = 0;
      for (std::size_t i = 0; i < kept.size() && !before.empty(); ++i) changed += kept[i] != before[i];
      if (!before.empty() && changed == 0) break;
      rho *= before.empty() || changed >= 0.1 * all ? 1.3 : changed >= 0.005 * all ? 1.2 : 1.1;
      before = kept;
    }
    solution_ = std::move(sparse);
    return kept;
  }

  // The least squares of what stays, as near as so many steps come; rows as they were before scaling.
  std::vector<float> solve(const std::vector<std::uint8_t>& kept, int steps) {
    const auto mask = [&](Matrix& of) {
      for (std::size_t i = 0; i < of.size(); ++i)
        if (!kept[i]) of[i] = 0;
    };
    mask(solution_);
    Matrix residual = times(solution_, in_.h);
    for (std::size_t i = 0; i < residual.size(); ++i) residual[i] = wh_[i] - residual[i];
    mask(residual);
    Matrix direction = residual;
    std::vector<double> size = squares(residual);
    for (int step = 0; step < steps; ++step) {
      Matrix moved = times(direction, in_.h);
      mask(moved);
      step_rows(direction, moved, size, residual);
    }
    std::vector<float> out;
    for (std::size_t i = 0; i < solution_.size(); ++i)
      out.push_back(float(solution_[i] / in_.scale[i % in_.scale.size()]));
    return out;
  }

 private:
  Matrix load() const {
    Matrix out(std::size_t(m_.rows * m_.cols));
    parallel_ranges(m_.rows, 16, [&](dim begin, dim end) {
      std::vector<float> row(static_cast<std::size_t>(m_.cols));
      for (dim r = begin; r < end; ++r) {
        m_.load(r, row.data());
        for (dim c = 0; c < m_.cols; ++c)
          out[std::size_t(r * m_.cols + c)] = double(row[std::size_t(c)]) * in_.scale[std::size_t(c)];
      }
    });
    return out;
  }

  Matrix times(const Matrix& a, const Matrix& square, Turned turned = Turned::no) const {
    Matrix out(a.size());
    matrix_product(a.data(), Turned::no, square.data(), turned, m_.rows, m_.cols, m_.cols, out.data());
    return out;
  }

  // (W H - V + rho D) (H + rho)^-1
  Matrix nearest_dense(const Matrix& sparse, const Matrix& dual, double rho) const {
    Matrix right(w_.size());
    for (std::size_t i = 0; i < right.size(); ++i) right[i] = wh_[i] - dual[i] + rho * sparse[i];
    Matrix turned = times(right, in_.vectors, Turned::yes);
    const std::size_t n = in_.values.size();
    for (std::size_t i = 0; i < turned.size(); ++i) turned[i] /= std::max(0.0, in_.values[i % n]) + rho;
    return times(turned, in_.vectors);
  }

  std::vector<std::uint8_t> select(const Matrix& by) const {
    return select_values(m_, pruning_, [&](dim r, const float*, float* scores) {
      for (dim c = 0; c < m_.cols; ++c) scores[c] = float(std::fabs(by[std::size_t(r * m_.cols + c)]));
    });
  }

  std::vector<double> squares(const Matrix& of) const {
    std::vector<double> out(static_cast<std::size_t>(m_.rows));
    for (std::size_t i = 0; i < of.size(); ++i) out[i / std::size_t(m_.cols)] += of[i] * of[i];
    return out;
  }

  // One step of conjugate gradients in every row; moved: the direction times H.
  void step_rows(Matrix& direction, const Matrix& moved, std::vector<double>& size, Matrix& residual) {
    parallel_ranges(m_.rows, 16, [&](dim begin, dim end) {
      for (dim r = begin; r < end; ++r) {
        double *x = solution_.data() + r * m_.cols, *d = direction.data() + r * m_.cols,
               *left = residual.data() + r * m_.cols;
        const double* hd = moved.data() + r * m_.cols;
        double curve = 0, after = 0;
        for (dim c = 0; c < m_.cols; ++c) curve += d[c] * hd[c];
        if (!(curve > 0)) continue;  // the row is solved
        const double step = size[std::size_t(r)] / curve;
        for (dim c = 0; c < m_.cols; ++c) {
          x[c] += step * d[c];
          left[c] -= step * hd[c];
          after += left[c] * left[c];
        }
        const double keep = after / size[std::size_t(r)];
        for (dim c = 0; c < m_.cols; ++c) d[c] = left[c] + keep * d[c];
        size[std::size_t(r)] = after;
      }
    });
  }

  const ScaledMatrix& m_;
  const Inputs& in_;
  const Pruning pruning_;
  const Matrix w_, wh_;
  Matrix solution_;
};

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  const Pruning pruning = pruning_of(options);
  if (!m.shared)  // no input came by
    return encode_pruned(m, select_values(m, pruning, magnitude_scores(std::vector<float>(std::size_t(m.cols), 1.0f))),
                         m.load);
  const auto& in = static_cast<const Inputs&>(*m.shared);
  Search search(m, in, pruning);
  const std::vector<std::uint8_t> kept = search.choose(int(options.number("rounds")));
  const std::vector<float> values = search.solve(kept, int(options.number("steps")));
  auto out = encode_pruned(m, kept, [&](dim row, float* to) { std::copy_n(values.data() + row * m.cols, m.cols, to); });
  if (out->note.empty()) out->note = in.note;
  if (m.format->joint == 1 && !is_dense(*m.format))
    polish_rows(m, *in.feedback, kept, int(options.number("polish")), *out);
  return out;
}

}  // namespace

extern const Method alps_method;
const Method alps_method{
    .name = "alps",
    .family = "pruning",
    .summary = "looks for the values whose least squares serve the inputs best, all of a matrix at once",
    .paper = "ALPS (arXiv:2406.07831)",
    .options = {sparsity_option(),
                pattern_option(),
                scope_option("matrix"),
                damping_option(),
                polish_option(),
                {.name = "rounds",
                 .default_value = "300",
                 .help = "most rounds of the search; it ends when the choice rests",
                 .choices = {},
                 .low = 1,
                 .high = 10000},
                {.name = "steps",
                 .default_value = "20",
                 .help = "of conjugate gradients, on what stays",
                 .choices = {},
                 .low = 0,
                 .high = 1000}},
    .needs = Needs::moments,
    .prepare = prepare,
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
