// What `quantize`, `prune` and `convert` have in common: the recipe's options, the target, the limits, and the run.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "compress/container_choice.h"
#include "compress/pipeline.h"

namespace CLI {
class App;
}

namespace pith::cli {

struct CompressOptions {
  std::string model, recipe, out, format, embed_format, to, target, lora, method, importance, max_ram, max_bytes, text,
      activations, kv, store, prune, allocation, prune_max_bytes, protocol = "llamacpp-512";
  std::vector<std::string> set, overrides, calibrate;
  std::optional<double> spread;
  std::optional<long long> calibrate_samples, calibrate_length, calibrate_seed;
  bool true_sequential = false, no_fallback = false, allow_requantize = false, dry_run = false, overwrite = false,
       resume = false, json = false;
  long long dither_seed = -1;  // negative: none
};

// Options that all verbs show, and those of verbs with methods.
void add_compress_options(CLI::App& app, CompressOptions& options);
void add_method_options(CLI::App& app, CompressOptions& options);

struct CompressJob {
  Recipe recipe;  // the file's, if one is named, with what other options say

  RunLimits limits;
  Container container = Container::gguf;
  std::filesystem::path target;
};
// Error(input) for unknown names. Without --to, the container is GGUF where --out ends so, else the one that can hold
// the format, and the source's own where both can; without --out, the target stands in this folder, named after model
// and format.
CompressJob make_job(const CompressOptions& options, const Model& model);

// 0 to below 100, with or without a percent sign. Error(input)
double percent_of(const std::string& text);

// Preflight and, unless --dry-run, the run, with an evaluation against the source where --text was given; prints
// it as text or JSON, and leaves OUT.report.md and OUT.report.json beside the output.
void run_job(const CompressOptions& options, const CompressJob& job, const Model& model);

}  // namespace pith::cli
