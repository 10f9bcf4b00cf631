#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kv/kv_codec.h"

namespace pith::cli {

void add_threads(CLI::App& app) {
  app.add_option_function<int>(
         "--threads", [](int n) { set_num_threads(n); }, "threads to use (default: all processors)")
      ->check(CLI::Range(1, 1024));
}

void add_kv(CLI::App& app, std::string& text) {
  std::string codecs;
  for (const KvCodec* codec : all_kv_codecs()) codecs += fmt::format("\n{:>14}  {}", codec->name, codec->summary);
  app.add_option("--kv", text, "how keys and values are stored, CODEC or CODEC:option=value,...:" + codecs)
      ->capture_default_str();
}

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

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw environment_error("output", "expected to write {} bytes to standard output, it was closed or is full",
                            text.size());
}

}  // namespace pith::cli
