#include "report/sizes.h"

#include <map>
#include <string_view>

namespace pith::report {
namespace {

void add(Share& share, const TensorPlan& tensor, dim bytes_after) {
  ++share.tensors;
  share.parameters += tensor.rows * tensor.cols;
  share.bytes_before += tensor.bytes_before;
  share.bytes_after += bytes_after;
}

void add(Sizes& sizes, const TensorPlan& tensor, dim bytes_after) {
  Share& share = is_linear(tensor.role) ? sizes.linears : is_embedding(tensor.role) ? sizes.embeddings : sizes.others;
  add(share, tensor, bytes_after);
  add(sizes.all, tensor, bytes_after);
}

}  // namespace

Sizes sizes_of(const Preflight& preflight) {
  Sizes sizes;
  for (const TensorPlan& tensor : preflight.tensors) add(sizes, tensor, tensor.bytes_after);
  return sizes;
}

Zeros zeros_of(const Outcome& outcome) {
  std::map<std::string_view, const TensorOutcome*> written;
  for (const TensorOutcome& tensor : outcome.tensors) written[tensor.name] = &tensor;
  Zeros out;
  for (const TensorPlan& plan : outcome.preflight.tensors) {
    const auto at = written.find(plan.name);
    if ((plan.kept < 0 && !plan.sparse) || at == written.end()) continue;
    out.values += at->second->values;
    out.zeros += at->second->zeros;
  }
  return out;
}

Sizes sizes_of(const Outcome& outcome) {
  std::map<std::string_view, dim> written;
  for (const TensorOutcome& tensor : outcome.tensors) written[tensor.name] = tensor.bytes;
  Sizes sizes;
  for (const TensorPlan& tensor : outcome.preflight.tensors) {
    const auto at = written.find(tensor.name);
    add(sizes, tensor, at == written.end() ? 0 : at->second);
  }
  return sizes;
}

}  // namespace pith::report
