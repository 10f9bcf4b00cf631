// Sizes of a plan or of an output, by what the tensors do.
#pragma once
#include "compress/pipeline.h"

namespace pith::report {

struct Share {
  dim tensors = 0, parameters = 0, bytes_before = 0, bytes_after = 0;
  double bits_before() const { return parameters > 0 ? 8.0 * double(bytes_before) / double(parameters) : 0; }
  double bits_after() const { return parameters > 0 ? 8.0 * double(bytes_after) / double(parameters) : 0; }
};

// Bits per weight count the scales: stored bytes over parameters. The files' headers are not in these.
struct Sizes {
  Share linears, embeddings, others, all;
};
Sizes sizes_of(const Preflight& preflight);
// Of the matrices that were pruned or stored without their zeros, counted as written.
struct Zeros {
  dim values = 0, zeros = 0;
  double percent() const { return values > 0 ? 100 * double(zeros) / double(values) : 0; }
};
Zeros zeros_of(const Outcome& outcome);
Sizes sizes_of(const Outcome& outcome);  // bytes_after as written, not as planned

}  // namespace pith::report
