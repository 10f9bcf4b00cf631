#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/error.h"
#include "core/group.h"
#include "core/parallel.h"
#include "ops/act/act_codec.h"
#include "ops/kv/kv_codec.h"

namespace pith::cli {

void add_threads(CLI::App& app) {
  app.add_option_function<int>(
         "--threads", [](int n) { set_num_threads(n); }, "threads to use (default: all processors)")
      ->check(CLI::Range(1, 1024));
}

void add_kv(CLI::App& app, std::string& text, const std::string& by_default) {
  std::string codecs;
  for (const KvCodec* codec : all_kv_codecs()) codecs += fmt::format("\n{:>14}  {}", codec->name, codec->summary);
  app.add_option(
      "--kv", text,
      "how keys and values are stored, CODEC or CODEC:option=value,... (default: " + by_default + "):" + codecs);
}

void add_exact(CLI::App& app, bool& exact) {
  app.add_flag("--exact", exact,
               "products in f32, as `pith eval` makes them; else inputs are rounded to 8 bits, one scale for 32");
}

void add_activations(CLI::App& app, std::string& text, const std::string& by_default) {
  std::string codecs;
  for (const ActCodec* codec : all_act_codecs()) codecs += fmt::format("\n{:>14}  {}", codec->name, codec->summary);
  app.add_option(
      "--activations", text,
      "how linear layers round their inputs, CODEC or CODEC:option=value,... (default: " + by_default + "):" + codecs);
}

void print(const std::string& text) {
  if (!processes().first()) return;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw environment_error("output", "expected to write {} bytes to standard output, it was closed or is full",
                            text.size());
}

}  // namespace pith::cli
