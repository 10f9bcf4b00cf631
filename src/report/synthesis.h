// What a run of `pith synthesize` made, or would ask.
#pragma once
#include <string>
#include <vector>

#include "synth/synthesize.h"

namespace pith::report {

struct SynthesisReport {
  std::string output;
  std::vector<std::string> data_files;
  dim seeds = 0, output_bytes = 0, peak_ram_bytes = 0;
  const synth::Outcome* outcome = nullptr;
};

std::string synthesis_text(const SynthesisReport& report);
std::string synthesis_json(const SynthesisReport& report);

std::string plan_text(const synth::Plan& plan, dim seeds);  // with the first question as it would be asked
std::string plan_json(const synth::Plan& plan, dim seeds);

}  // namespace pith::report
