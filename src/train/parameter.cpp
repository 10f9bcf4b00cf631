#include "train/parameter.h"

#include <algorithm>

#include "core/parallel.h"

namespace pith {

void Parameter::clear_gradient() {
  parallel_ranges(size(), 1 << 16, [&](dim begin, dim end) {
    std::fill(gradient.as<float>() + begin, gradient.as<float>() + end, 0.0f);
  });
}

}  // namespace pith
