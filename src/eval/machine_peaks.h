// What this machine can do at most, measured: the denominators of MFU and MBU.
#pragma once
#include "core/base.h"

namespace pith {

struct MachinePeaks {
  int threads = 0;
  double f32 = 0, bf16 = 0, int8 = 0;  // operations a second of all threads; 0: no such instructions
  double read = 0;                     // bytes a second from memory, all threads
};
MachinePeaks measure_peaks();  // about a second, with num_threads() threads

}  // namespace pith
