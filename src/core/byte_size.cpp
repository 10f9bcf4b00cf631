#include "core/byte_size.h"

#include <cctype>
#include <cmath>

#include "core/error.h"

namespace pith {

dim parse_bytes(const std::string& text) {
  std::size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
  }
  static const std::pair<const char*, double> units[] = {
      {"", 1},     {"B", 1},      {"KB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KIB", 1024}, {"MIB", 1048576.0}, {"GIB", 1073741824.0}};
  std::string unit = text.substr(std::min(used, text.size()));
  for (char& c : unit) c = char(std::toupper(static_cast<unsigned char>(c)));
  for (const auto& [name, factor] : units)
    if (unit == name && value >= 0 && value * factor < 9e18 && std::isfinite(value)) return dim(value * factor);
  throw Error(Blame::input, "size", fmt::format("expected bytes such as 4GB or 900MiB, got '{}'", text));
}

}  // namespace pith
