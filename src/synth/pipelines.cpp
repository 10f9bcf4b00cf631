#include "core/error.h"
#include "synth/pipeline.h"

namespace pith::synth {

#define PITH_PIPELINE(name) extern const Pipeline pipeline_##name;
#include "synth/pipelines.def"
#undef PITH_PIPELINE

const std::vector<const Pipeline*>& pipelines() {
  static const std::vector<const Pipeline*> all = {
#define PITH_PIPELINE(name) &pipeline_##name,
#include "synth/pipelines.def"
#undef PITH_PIPELINE
  };
  return all;
}

const Pipeline& pipeline_or_throw(std::string_view name) {
  std::string names;
  for (const Pipeline* p : pipelines()) {
    if (name == p->name) return *p;
    names += (names.empty() ? "" : ", ") + std::string(p->name);
  }
  throw input_error("pipeline", "expected one of {}, got {}", names, name);
}

}  // namespace pith::synth
