// Memory of this process and of the machine, as the system counts it.
#pragma once
#include "core/base.h"

namespace pith {

bool reset_peak_ram();      // the peak counts anew from here; false where the system does not allow it
dim peak_ram_bytes();       // the largest resident set so far; 0 where the system does not tell
dim current_ram_bytes();    // the resident set now
dim available_ram_bytes();  // that the machine could give without swapping; 0 where the system does not tell

}  // namespace pith
