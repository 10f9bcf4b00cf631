// A run from a model's path, into any container.
#pragma once
#include "tests/compress/pipeline_support.h"

namespace pith::test {

inline Outcome run_as(Container container, const std::filesystem::path& source, const Recipe& recipe,
                      const std::filesystem::path& target, const RunLimits& limits = {}) {
  const Model model = Model::open(source);
  return compress(model, recipe, container, target, limits);
}

}  // namespace pith::test
