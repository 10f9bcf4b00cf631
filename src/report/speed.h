// What `pith bench` says.
#pragma once
#include <string>
#include <vector>

#include "eval/machine_peaks.h"
#include "eval/speed.h"

namespace pith::report {

struct Benchmark {
  SpeedOptions options;
  std::vector<MachinePeaks> peaks;  // one for each number of threads
  std::vector<ModelSpeed> models;   // ratios are to the first
};

std::string speed_text(const Benchmark& benchmark);
std::string speed_json(const Benchmark& benchmark);

}  // namespace pith::report
