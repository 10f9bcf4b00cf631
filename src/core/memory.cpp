#include "core/memory.h"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace pith {

// A line like "VmHWM:      1234 kB" of a file of the system.
static dim bytes_said_by(const char* file, std::string_view key) {
  std::ifstream status(file);
  for (std::string line; std::getline(status, line);) {
    if (!std::string_view(line).starts_with(key)) continue;
    const auto digits = line.find_first_of("0123456789");
    dim kib = 0;
    if (digits != line.npos) std::from_chars(line.data() + digits, line.data() + line.size(), kib);
    return kib * 1024;
  }
  return 0;
}

bool reset_peak_ram() {
  std::ofstream refs("/proc/self/clear_refs");
  return bool(refs << "5" << std::flush);
}

dim peak_ram_bytes() { return bytes_said_by("/proc/self/status", "VmHWM:"); }
dim current_ram_bytes() { return bytes_said_by("/proc/self/status", "VmRSS:"); }
dim available_ram_bytes() { return bytes_said_by("/proc/meminfo", "MemAvailable:"); }

}  // namespace pith
