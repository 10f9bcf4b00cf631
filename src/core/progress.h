// How long work tells of itself. The library calls; the command line draws (or nobody listens).
#pragma once
#include <string_view>

#include "core/base.h"

namespace pith {

class Progress {
 public:
  virtual ~Progress() = default;
  virtual void begin(std::string_view stage, dim total_units) = 0;  // ends the stage before it
  virtual void advance(dim units, std::string_view detail = {}) = 0;
  virtual void end() = 0;
};

Progress& no_progress();  // a listener that ignores everything

}  // namespace pith
