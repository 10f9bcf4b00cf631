#include "compress/lowrank/lplr.h"

#include <cmath>

#include "compress/lowrank/factorize.h"
#include "core/error.h"
#include "core/rng.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

using Matrix = std::vector<double>;

// Rows of (rows, cols) as the format makes them.
void round_rows(const Format& format, dim rows, dim cols, std::vector<float>& values) {
  if (!fits(format, cols))
    throw Error(
        Blame::input, "lplr",
        fmt::format("expected factors of whole blocks of {} for {}, got {} columns", format.block, format.name, cols),
        "another format, or another multiple");
  std::vector<std::byte> codes(std::size_t(row_bytes(format, cols)));
  for (dim r = 0; r < rows; ++r) {
    format.encode(format, values.data() + r * cols, nullptr, cols, RangeSearch{}, codes.data());
    format.decode(format, codes.data(), cols, values.data() + r * cols);
  }
}

Matrix gaussians(dim count, std::uint64_t seed) {
  Rng rng(seed);
  Matrix out(static_cast<std::size_t>(count));
  for (double& v : out) v = rng.normal();
  return out;
}

// Columns that span about what w's do: w (H) Omega, each of length 1.
std::vector<float> sketch(const Matrix& w, dim rows, dim cols, dim rank, const SecondMoment* moment,
                          std::uint64_t seed) {
  Matrix omega = gaussians(cols * rank, seed);
  if (moment) {
    Matrix h(std::size_t(cols * cols)), weighted(omega.size());
    moment->copy_to(h.data());
    matrix_product(h.data(), Turned::no, omega.data(), Turned::no, cols, rank, cols, weighted.data());
    omega = std::move(weighted);
  }
  Matrix y(std::size_t(rows * rank));
  matrix_product(w.data(), Turned::no, omega.data(), Turned::no, rows, rank, cols, y.data());
  Matrix length(static_cast<std::size_t>(rank));
  for (std::size_t i = 0; i < y.size(); ++i) length[i % length.size()] += y[i] * y[i];
  std::vector<float> out;
  for (std::size_t i = 0; i < y.size(); ++i)
    out.push_back(float(length[i % length.size()] > 0 ? y[i] / std::sqrt(length[i % length.size()]) : 0));
  return out;
}

}  // namespace

LowRank low_precision_factors(const float* w, dim rows, dim cols, dim rank, const SecondMoment* moment,
                              const Format& format, std::uint64_t seed) {
  PITH_CHECK(1 <= rank && rank <= std::min(rows, cols));
  const Matrix weight(w, w + rows * cols);
  LowRank out;
  out.rank = rank;
  out.b = sketch(weight, rows, cols, rank, moment, seed);
  round_rows(format, rows, rank, out.b);
  const Matrix b(out.b.begin(), out.b.end());
  Matrix square(std::size_t(rank * rank)), fit(std::size_t(cols * rank));
  matrix_product(b.data(), Turned::yes, b.data(), Turned::no, rank, rank, rows, square.data());
  matrix_product(weight.data(), Turned::yes, b.data(), Turned::no, cols, rank, rows, fit.data());
  for (dim k = 0; k < rank; ++k) square[std::size_t(k * rank + k)] *= 1 + 1e-9;
  if (!solve_positive(square.data(), rank, fit.data(), cols))
    throw input_error("lplr",
                      "expected a sketch of full rank, got less: fewer directions are there than are asked for");
  out.a.resize(std::size_t(rank * cols));
  for (dim k = 0; k < rank; ++k)
    for (dim c = 0; c < cols; ++c) out.a[std::size_t(k * cols + c)] = float(fit[std::size_t(c * rank + k)]);
  round_rows(format, rank, cols, out.a);
  return out;
}

namespace {

std::string fault_of_format(std::string_view text) {
  return find_format(text) ? "" : "a format that `pith formats` lists";
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out = factorize_options(false);
  out.push_back({.name = "format",
                 .default_value = "int8_row_sym",
                 .help = "that both factors are rounded by, the second one knowing what became of the first; give the "
                         "same to --format",
                 .choices = {},
                 .fault = fault_of_format});
  out.push_back({.name = "seed", .default_value = "0", .help = "of the sketch", .choices = {}, .low = 0, .high = 1e9});
  return out;
}

Model lplr_reshape(const ReshapeTask& task, const Options& options) {
  const Format& format = format_or_throw(options.text("format"));
  const auto seed = std::uint64_t(options.number("seed"));
  return factorize({.task = task,
                    .options = options,
                    .moments = true,
                    .weigh =
                        [](std::size_t, const InputStats* stats) {
                          Weighing out;
                          if (stats) out.moment = &*stats->moment;
                          return out;
                        },
                    .factors =
                        [&](std::size_t tensor, const float* w, dim rows, dim cols, dim rank, const InputStats* stats) {
                          return low_precision_factors(w, rows, cols, rank, stats ? &*stats->moment : nullptr, format,
                                                       mix64(seed, tensor));
                        }});
}

}  // namespace

extern const Method lplr_method;
const Method lplr_method{
    .name = "lplr",
    .family = "low rank",
    .summary =
        "factors of low precision: a random sketch of the outputs, rounded, and what fits the matrix best with it",
    .paper = "LPLR (arXiv:2310.11028), with sketches of what the inputs bring forth",
    .options = options(),
    .needs = Needs::text,
    .reshape = lplr_reshape,
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
