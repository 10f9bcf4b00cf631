// The search for one float32 scale, for formats whose codes stand for a fixed set of values.
#pragma once
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "kernels/search.h"

namespace pith {

inline float largest_magnitude(const float* x, dim n) {
  float most = 0;
  for (dim i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
  return most;
}

// Null where no weight is above 0: weights all zero count as equal.
inline const float* usable_weights(const float* w, dim n) { return w && largest_magnitude(w, n) > 0 ? w : nullptr; }

// Scales whose inverse is not finite are 0.
inline float usable_scale(double scale) {
  return scale >= double(FLT_MIN) ? float(std::min(scale, double(FLT_MAX))) : 0.0f;
}

struct ScaleTask {
  const float* x = nullptr;
  const float* w = nullptr;  // null for equal weights
  dim n = 0;
  float top = 1;  // the largest value of the set
};

// `rounded(scale, y)` fills y with what the n values decode to on that scale; `y` is scratch for n values.
template <class Rounded>
class ScaleSearch {
 public:
  ScaleSearch(const ScaleTask& task, const kernels::SearchPlan& plan, float* y, Rounded rounded)
      : task_(task), plan_(plan), y_(y), rounded_(rounded) {}

  float run() {
    task_.w = usable_weights(task_.w, task_.n);
    const float most = largest_magnitude(task_.x, task_.n);
    start_ = best_ = usable_scale(double(most) / double(task_.top));
    if (plan_.aim == kernels::Aim::minmax || best_ == 0) return best_;
    unit_ = 1.0f / most;
    least_ = error(best_);
    if (plan_.aim == kernels::Aim::lp)
      shrink();
    else
      refine();
    return best_;
  }

 private:
  float error(float scale) {
    rounded_(scale, y_);
    const float p = plan_.aim == kernels::Aim::lp ? plan_.p : 2.0f;
    return kernels::search_kernels().distance(task_.x, y_, task_.w, task_.n, unit_, p);
  }

  // Takes the scale if its error is the least so far; y_ is then what it decodes to, as after any error().
  bool take(float scale) {
    const float e = error(scale);
    if (!(e < least_)) return false;
    least_ = e;
    best_ = scale;
    return true;
  }

  void shrink() {
    for (int i = 1; i < plan_.steps; ++i) take(usable_scale(double(start_) * (1.0 - double(i) / (1.25 * plan_.steps))));
  }

  // The least-squares scale for the codes of `scale`, whose decoded values are in y_.
  float refit(float scale) const {
    double xy = 0, yy = 0;
    for (dim i = 0; i < task_.n; ++i) {
      const double y = double(y_[i]) * double(unit_), w = task_.w ? double(task_.w[i]) : 1.0;
      xy += w * double(task_.x[i]) * double(unit_) * y;
      yy += w * y * y;
    }
    return yy > 0 && std::isfinite(xy / yy) ? usable_scale(double(scale) * xy / yy) : scale;
  }

  // Ranges a little smaller and larger than the plain one, each with its least-squares scale.
  void refine() {
    for (int i = -plan_.effort; i <= plan_.effort; ++i) {
      const float scale = usable_scale(double(start_) * (1.0 - 0.3 * double(i) / (plan_.effort + 1)));
      if (i != 0) take(scale);
      take(refit(scale));
    }
    for (int round = 0; round < 4; ++round) {
      error(best_);
      if (!take(refit(best_))) break;
    }
  }

  ScaleTask task_;
  kernels::SearchPlan plan_;
  float* y_;
  Rounded rounded_;
  float start_ = 0, best_ = 0, unit_ = 1, least_ = 0;
};

template <class Rounded>
float search_scale(const ScaleTask& task, const kernels::SearchPlan& plan, float* y, Rounded rounded) {
  return ScaleSearch<Rounded>(task, plan, y, rounded).run();
}

}  // namespace pith
