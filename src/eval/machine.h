// The machine that numbers were measured on.
#pragma once
#include <string>

#include "core/base.h"

namespace pith {

struct Machine {
  std::string processor;  // as the system names it; "unknown" where it does not
  int processors = 0;     // that this process may use
  dim ram_bytes = 0;      // 0: unknown
  std::string kernels;    // instruction set of the kernels
};
Machine this_machine();

}  // namespace pith
