// LAPACK on the caller's thread alone: its own threads would compete with ours, and could change the bits.
#pragma once
#include <lapacke.h>

#include "core/base.h"
#include "core/error.h"

extern "C" __attribute__((weak)) void openblas_set_num_threads(int);  // absent where LAPACK is another's

namespace pith {

inline void keep_lapack_on_this_thread() {
  if (openblas_set_num_threads) openblas_set_num_threads(1);
}

inline lapack_int lapack_size(dim n) {
  PITH_CHECK(n >= 0 && n < (dim(1) << 31));
  return lapack_int(n);
}

}  // namespace pith
