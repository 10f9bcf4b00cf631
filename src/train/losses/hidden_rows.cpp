#include "train/losses/hidden_rows.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pith {

namespace {

double length(const float* x, dim n) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) sum += double(x[i]) * double(x[i]);
  return std::max(std::sqrt(sum), 1e-12);
}

double cosine_row(const float* x, const float* t, dim n, double weight, float* gradient) {
  const double of_x = length(x, n), of_t = length(t, n);
  double dot = 0;
  for (dim i = 0; i < n; ++i) dot += double(x[i]) * double(t[i]);
  const double c = dot / (of_x * of_t), factor = -2 * weight / of_x;
  for (dim i = 0; i < n; ++i) gradient[i] += float(factor * (double(t[i]) / of_t - c * double(x[i]) / of_x));
  return 2 - 2 * c;
}

double mse_row(const float* x, const float* t, dim n, double weight, float* gradient) {
  double sum = 0;
  for (dim i = 0; i < n; ++i) {
    const double d = double(x[i]) - double(t[i]);
    sum += d * d;
    gradient[i] += float(2 * weight * d / double(n));
  }
  return sum / double(n);
}

}  // namespace

HiddenKind hidden_kind_or_throw(std::string_view name) {
  for (const HiddenKind kind : {HiddenKind::cosine, HiddenKind::mse})
    if (name == name_of(kind)) return kind;
  throw input_error("hidden-kind", "expected cosine or mse, got {}", name);
}

const char* name_of(HiddenKind kind) { return kind == HiddenKind::cosine ? "cosine" : "mse"; }

double hidden_row(HiddenKind kind, const float* x, const float* teacher, dim n, double weight, float* gradient) {
  return kind == HiddenKind::cosine ? cosine_row(x, teacher, n, weight, gradient)
                                    : mse_row(x, teacher, n, weight, gradient);
}

}  // namespace pith
