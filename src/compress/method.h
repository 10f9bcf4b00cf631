// A compression method: which values to choose. It maps one weight to another and knows no model names;
// it opens no file, starts no thread and prints nothing. Each is one file in quantize/, prune/, lowrank/ or
// distill/ and one line in methods.def.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/progress.h"
#include "formats/format.h"

namespace pith {

// What a method is given: some rows of one matrix, in f32.
struct LayerTask {
  const float* source = nullptr;  // (rows, cols)
  dim rows = 0, cols = 0;
  const Format* format = nullptr;     // the target's
  const float* importance = nullptr;  // (cols) mean squared input, or null when nothing was measured
  std::byte* out = nullptr;           // rows * row_bytes(*format, cols), to be filled
};

struct Method {
  std::string_view name;
  std::string_view family;   // "quantization", "pruning", ...
  std::string_view summary;  // one line
  std::string_view paper;    // where it comes from
  std::vector<OptionSpec> options;
  // Called for different rows at the same time; what it does to a row must not depend on the others.
  void (*layer)(const LayerTask& task, const Options& options);
};

std::span<const Method* const> all_methods();
const Method& method_or_throw(std::string_view name);

}  // namespace pith
