#include "ops/gate.h"

#include "ops/parts.h"

namespace pith {

void gate_rows(const GateRows& c) {
  parallel_for(
      c.n,
      [&](dim i) {
        activate(c.kind, c.gate + i * c.stride, c.up ? c.up + i * c.stride : nullptr, c.cols, c.out + i * c.cols);
      },
      grain_of(4 * c.cols));
}

}  // namespace pith
