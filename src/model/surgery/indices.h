// Lists of rows, columns and layers.
#pragma once
#include <numeric>
#include <string>
#include <vector>

#include "core/base.h"

namespace pith {

inline std::vector<dim> first(dim n) {
  std::vector<dim> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), dim(0));
  return all;
}

// What groups of `width` neighbours each stand for; the first group is at `from`.
inline std::vector<dim> spread(const std::vector<dim>& groups, dim width, dim from = 0) {
  std::vector<dim> out;
  for (const dim g : groups)
    for (dim i = 0; i < width; ++i) out.push_back(from + g * width + i);
  return out;
}

inline void append(std::vector<dim>& to, const std::vector<dim>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// "model.layers.3.mlp.up_proj.weight", 1 -> "model.layers.1.mlp.up_proj.weight"; a second number is the expert's.
std::string renumbered(const std::string& name, dim layer, dim expert);

}  // namespace pith
