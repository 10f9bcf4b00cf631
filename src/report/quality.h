// The quality report that stands next to each output: what was done, what it saved, what it cost.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compress/pipeline.h"
#include "eval/perplexity.h"
#include "report/table.h"

namespace pith::report {

struct QualityReport {
  std::string model;                        // the source's name, e.g. its folder or file
  std::string output;                       // the target's name
  std::string family;                       // Config::arch
  std::string source_container, container;  // "gguf", "hf"
  dim source_bytes = 0;                     // of the source's weight files
  Recipe recipe;
  Outcome outcome;
  std::vector<EvalResult> evaluations;  // of the output, each under its own protocol
  std::vector<Comparison> comparisons;  // of the output with its source
};

// One row a role of what methods compress (and of embeddings): formats, relative error |w - w'| / |w| and its
// signal-to-noise ratio; the mean is over the tensors, the worst is named.
Table role_errors(const Outcome& outcome);
// One row a layer, one column a role of linears: "8.12 % 21.8 dB". Empty when no tensor is in a layer.
Table layer_errors(const Outcome& outcome);
// One row a layer with experts: how many tokens calibration sent to the least and the most used, and how many it never
// reached. Empty without experts or calibration.
Table expert_tokens(const Outcome& outcome);

std::string quality_markdown(const QualityReport& report);
std::string quality_json(const QualityReport& report);

}  // namespace pith::report
