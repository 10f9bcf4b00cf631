#include "eval/machine.h"

#include <fstream>
#include <thread>

#include "kernels/isa.h"

namespace pith {

Machine this_machine() {
  Machine machine{.processor = "unknown", .kernels = std::string(isa_name(active_isa()))};
  std::ifstream processors("/proc/cpuinfo");
  for (std::string line; std::getline(processors, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) machine.processor = line.substr(colon + 2);
    break;
  }
  machine.processors = int(std::thread::hardware_concurrency());
  std::ifstream memory("/proc/meminfo");
  std::string word;
  dim kilobytes = 0;
  if (memory >> word >> kilobytes && word == "MemTotal:") machine.ram_bytes = kilobytes * 1024;
  return machine;
}

}  // namespace pith
