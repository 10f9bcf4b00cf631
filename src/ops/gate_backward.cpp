#include "ops/gate_backward.h"

#include "kernels/rows_backward.h"
#include "ops/parts.h"

namespace pith {

void gate_rows_backward(const GateRowsBackward& c) {
  parallel_for(
      c.n,
      [&](dim i) {
        const dim at = i * c.stride;
        activate_backward(c.kind, c.gate + at, c.up ? c.up + at : nullptr, c.dy + i * c.cols, c.cols, c.dgate + at,
                          c.up ? c.dup + at : nullptr);
      },
      grain_of(8 * c.cols));
}

}  // namespace pith
