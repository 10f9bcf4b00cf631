#include "eval/machine_peaks.h"

#include <algorithm>
#include <atomic>

#include "core/buffer.h"
#include "core/parallel.h"
#include "core/stopwatch.h"
#include "kernels/peaks.h"

namespace pith {

namespace {

// Operations a second of all threads together; the best of some tries, since others may use the machine.
double rate(double (*loop)(dim rounds)) {
  const dim threads = num_threads(), rounds = 20000;
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    std::atomic<double> done = 0;
    const auto start = Clock::now();
    parallel_for(threads, [&](dim) { done.fetch_add(loop(rounds)); });
    best = std::max(best, done.load() / seconds_since(start));
  }
  return best;
}

double read_rate() {
  const dim bytes = dim(256) << 20;  // past every cache
  Buffer memory(bytes);
  const dim pages = bytes >> 12;
  parallel_for(pages, [&](dim i) { memory.data()[i << 12] = std::byte(i); });
  std::atomic<std::uint64_t> sum = 0;  // keeps the reads
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const auto start = Clock::now();
    parallel_ranges(bytes >> 12, 1, [&](dim begin, dim end) {
      sum += read_through(memory.data() + (begin << 12), (end - begin) << 12);
    });
    best = std::max(best, double(bytes) / seconds_since(start));
  }
  return best;
}

}  // namespace

MachinePeaks measure_peaks() {
  return {.threads = num_threads(),
          .f32 = rate(peak_f32),
          .bf16 = rate(peak_bf16),
          .int8 = rate(peak_int8),
          .read = read_rate()};
}

}  // namespace pith
