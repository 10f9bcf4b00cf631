#include "report/sizes.h"

namespace pith::report {
namespace {

void add(Share& share, const TensorPlan& tensor) {
  ++share.tensors;
  share.parameters += tensor.rows * tensor.cols;
  share.bytes_before += tensor.bytes_before;
  share.bytes_after += tensor.bytes_after;
}

}  // namespace

Sizes sizes_of(const Preflight& preflight) {
  Sizes sizes;
  for (const TensorPlan& tensor : preflight.tensors) {
    add(is_linear(tensor.role) ? sizes.linears : is_embedding(tensor.role) ? sizes.embeddings : sizes.others, tensor);
    add(sizes.all, tensor);
  }
  return sizes;
}

}  // namespace pith::report
