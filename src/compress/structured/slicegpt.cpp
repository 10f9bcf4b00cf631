// SliceGPT: the residual stream turned so that its channels stand in the order of how much they carry (the principal
// axes of what the norms read), and the last ones cut off. One basis serves all blocks, so that the result is a plain
// model of smaller width: the paper turns the stream between blocks, which only its own programs can run.
#include <algorithm>
#include <cmath>

#include "compress/structured/shape.h"
#include "compress/structured/walk.h"
#include "core/error.h"
#include "core/parallel.h"
#include "math/eigen.h"
#include "math/second_moment.h"
#include "model/rotate.h"

namespace pith {

namespace {

// Second moments of the stream where norms read it, each token brought to the same length, as norms do.
class Stream : public LinearObserver {
 public:
  explicit Stream(dim hidden) : moment_(hidden), scaled_() {}
  void linear_input(Role, dim, const float*, dim, dim) override {}
  void residual(dim, const float* x, dim rows) override { add(x, rows); }
  void add(const float* x, dim rows) {
    const dim n = moment_.size();
    scaled_.resize(std::size_t(rows * n));
    parallel_for(rows, [&](dim r) {
      double square = 0;
      for (dim c = 0; c < n; ++c) square += double(x[r * n + c]) * double(x[r * n + c]);
      const float scale = square > 0 ? float(std::sqrt(double(n) / square)) : 0.0f;
      for (dim c = 0; c < n; ++c) scaled_[std::size_t(r * n + c)] = x[r * n + c] * scale;
    });
    moment_.add(scaled_.data(), rows);
  }
  const SecondMoment& moment() const { return moment_; }

 private:
  SecondMoment moment_;
  std::vector<float> scaled_;
};

// Columns: the axes, the strongest first.
std::vector<double> principal_axes(const SecondMoment& moment) {
  const dim n = moment.size();
  std::vector<double> a(static_cast<std::size_t>(n * n)), values(static_cast<std::size_t>(n)), axes(a.size());
  moment.copy_to(a.data());
  if (!eigen_symmetric(a.data(), n, values.data()))
    throw input_error("slicegpt", "expected finite inputs of norms, got others");
  for (dim k = 0; k < n; ++k)
    for (dim i = 0; i < n; ++i) axes[std::size_t(i * n + k)] = a[std::size_t((n - 1 - k) * n + i)];
  return axes;
}

std::vector<double> stream_axes(const ReshapeTask& task) {
  Stream stream(task.model.config().hidden);
  walk_blocks(task.model, task.tokens(), "axes", "what the residual stream carries", task.progress, stream,
              [&](dim, const float* x, dim length) { stream.add(x, length); });
  return principal_axes(stream.moment());
}

Model slicegpt_reshape(const ReshapeTask& task, const Options& options) {
  const Config& c = task.model.config();
  if (const std::string why = cannot_cut_hidden(task.model); !why.empty())
    throw Error(Blame::input, "slicegpt", "expected a model whose stream can be cut: " + why, "use flap or depth");
  const dim multiple = dim(options.number("multiple"));
  const double left = (1 - options.number("ratio")) * double(c.hidden);
  const dim width = std::min(c.hidden, std::max<dim>(1, dim(std::round(left / double(multiple)))) * multiple);
  auto axes = std::make_shared<const std::vector<double>>(stream_axes(task));
  const Model turned = rotated_model(task.model, {.basis = std::move(axes), .heads = false, .down = false});
  Surgery surgery = whole(turned.config());
  surgery.hidden.resize(std::size_t(width));
  return cut_model(turned, surgery);
}

}  // namespace

extern const Method slicegpt_method;
const Method slicegpt_method{
    .name = "slicegpt",
    .family = "structured pruning",
    .summary = "turns the residual stream to its principal axes and cuts the weakest off: all matrices become narrower",
    .paper = "SliceGPT (arXiv:2401.15024), with one basis for all blocks",
    .options = {{.name = "ratio",
                 .default_value = "0.2",
                 .help = "of the stream's channels that are cut off",
                 .choices = {},
                 .low = 0,
                 .high = 0.95},
                {.name = "multiple",
                 .default_value = "32",
                 .help = "what the number of channels left is a multiple of, so that formats with blocks fit",
                 .choices = {},
                 .low = 1,
                 .high = 4096}},
    .needs = Needs::text,
    .reshape = slicegpt_reshape,
};

}  // namespace pith
