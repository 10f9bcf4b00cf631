// A way of making data with a teacher. Each is one file in pipelines/ and one line in pipelines.def. It is a function
// of seeds, options and replies: no file, no thread, no clock.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"

namespace pith::synth {

class Run;

struct Pipeline {
  const char* name;
  const char* summary;
  const char* paper;
  std::vector<OptionSpec> options;
  bool answers = false;  // every seed must have one
  bool student = false;  // a student is asked, too
  bool single = false;   // of a conversation only its question could be used, so there must be no more
  bool local = false;    // needs a teacher of this machine, not an endpoint
  void (*run)(Run& run);
};

const std::vector<const Pipeline*>& pipelines();
const Pipeline& pipeline_or_throw(std::string_view name);  // Error(input) that lists the names

}  // namespace pith::synth
