#include "compress/structured/branches.h"

#include <algorithm>
#include <cmath>

#include "compress/structured/walk.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

void add(Channels& to, const float* x, dim rows, dim cols) {
  to.sum.resize(std::size_t(cols));
  to.squares.resize(std::size_t(cols));
  to.tokens += rows;
  parallel_ranges(cols, 64, [&](dim begin, dim end) {
    for (dim r = 0; r < rows; ++r)
      for (dim c = begin; c < end; ++c) {
        const double v = double(x[r * cols + c]);
        to.sum[std::size_t(c)] += v;
        to.squares[std::size_t(c)] += v * v;
      }
  });
}

class Viewer : public LinearObserver {
 public:
  explicit Viewer(std::vector<BlockView>& out) : out_(out) {}
  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override {
    if (role == Role::attn_o) add(out_[std::size_t(layer)].attn, x, rows, cols);
    if (role == Role::ffn_down) add(out_[std::size_t(layer)].ffn, x, rows, cols);
  }
  void expert_input(Role, dim, dim, const float*, dim, dim) override {}

 private:
  std::vector<BlockView>& out_;
};

// The sum over tokens of the cosine between two rows.
double cosines(const float* a, const float* b, dim rows, dim cols) {
  std::vector<double> of_row(static_cast<std::size_t>(rows));
  parallel_for(rows, [&](dim r) {
    double ab = 0, aa = 0, bb = 0;
    for (dim c = r * cols; c < (r + 1) * cols; ++c) {
      ab += double(a[c]) * double(b[c]);
      aa += double(a[c]) * double(a[c]);
      bb += double(b[c]) * double(b[c]);
    }
    of_row[std::size_t(r)] = aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 1;
  });
  double sum = 0;
  for (const double v : of_row) sum += v;
  return sum;
}

}  // namespace

double Channels::variance(dim c) const {
  const double m = mean(c);
  return std::max(0.0, squares[std::size_t(c)] / double(tokens) - m * m);
}

double Channels::norm(dim c) const { return std::sqrt(squares[std::size_t(c)]); }

std::vector<BlockView> view_blocks(const Model& model, const CalibrationTokens& tokens, Progress& progress) {
  const Config& config = model.config();
  std::vector<BlockView> out(std::size_t(config.layers));
  Viewer viewer(out);
  std::vector<float> before;
  walk_blocks(model, tokens, "structures", "what heads and neurons give", progress, viewer,
              [&](dim layer, const float* x, dim length) {
                if (layer > 0)
                  out[std::size_t(layer - 1)].influence += cosines(before.data(), x, length, config.hidden);
                before.assign(x, x + length * config.hidden);
              });
  for (BlockView& view : out) view.influence = 1 - view.influence / double(tokens.count());
  return out;
}

}  // namespace pith
