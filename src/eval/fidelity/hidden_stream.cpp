#include "eval/fidelity/hidden_stream.h"

#include <algorithm>

#include "core/error.h"

namespace pith {
namespace {

std::vector<dim> lengths_of(std::span<const std::vector<Token>> sequences) {
  std::vector<dim> lengths;
  for (const auto& tokens : sequences) {
    PITH_CHECK(!tokens.empty());
    lengths.push_back(dim(tokens.size()));
  }
  PITH_CHECK(!lengths.empty());
  return lengths;
}

}  // namespace

HiddenStream::HiddenStream(const Model& model, std::span<const std::vector<Token>> sequences, const ActPlan* act)
    : lengths_(lengths_of(sequences)),
      forward_(Network::of(model, act), *std::max_element(lengths_.begin(), lengths_.end()), dim(lengths_.size())) {
  dim tokens = 0;
  for (const dim length : lengths_) tokens += length;
  hidden_.resize(std::size_t(tokens * width()));
  float* at = hidden_.data();
  for (const auto& sequence : sequences) {
    forward_.embed(sequence, at);
    at += dim(sequence.size()) * width();
  }
}

}  // namespace pith
