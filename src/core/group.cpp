#include "core/group.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

template <class T>
static void add_part(std::span<const T> part, std::span<T> sum) {
  PITH_CHECK(part.size() == sum.size());
  parallel_ranges(dim(sum.size()), dim(1) << 16, [&](dim begin, dim end) {
    for (auto i = std::size_t(begin); i < std::size_t(end); ++i) sum[i] += part[i];
  });
}

void Group::add_in_order(std::span<const float> part, std::span<float> sum, int parts) {
  if (parts > 0) add_part(part, sum);
}
void Group::add_in_order(std::span<const double> part, std::span<double> sum, int parts) {
  if (parts > 0) add_part(part, sum);
}

Group& one_process() {
  static Group alone;
  return alone;
}

double sum_in_order(std::span<const double> known, Group& group) {
  std::vector<double> all(known.size(), 0);
  group.add_in_order(known, all, group.size());
  return std::accumulate(all.begin(), all.end(), 0.0);
}

Launch launch() {
  const auto number = [](const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text ? std::atoi(text) : otherwise;
  };
  // Open MPI's mpirun, else MPICH's and what speaks its protocol.
  Launch l = {number("OMPI_COMM_WORLD_RANK", -1), number("OMPI_COMM_WORLD_SIZE", 0)};
  if (l.rank < 0 || l.size < 1) l = {number("PMI_RANK", 0), number("PMI_SIZE", 1)};
  return {std::max(0, l.rank), std::max(1, l.size)};
}

}  // namespace pith
