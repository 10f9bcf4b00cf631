#include "train/validation.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/teacher.h"

namespace pith {

double validation_loss(const Network& network, const TrainingData& data, Objective& objective, dim micro_tokens,
                       Group& group) {
  std::vector<const TrainingSequence*> all;
  for (const TrainingSequence& s : data.sequences) all.push_back(&s);
  const dim predicted = data.predicted(), most = ModelBackward::logit_rows(*network.config);
  Teacher reader(network, data.longest(), kMostSequences);
  const std::vector<MicroBatch> batches = micro_batches(all, micro_tokens);
  std::vector<double> losses(batches.size(), 0);
  for (auto b = std::size_t(group.rank()); b < batches.size(); b += std::size_t(group.size())) {
    const MicroBatch& batch = batches[b];
    objective.begin(batch, 1 / double(predicted));
    reader.read(batch.sequences);
    for (std::size_t at = 0; at < batch.places.size(); at += std::size_t(most)) {
      const auto some = std::span(batch.places).subspan(at, std::min(std::size_t(most), batch.places.size() - at));
      losses[b] += objective.part(some, reader.logits(some));
    }
  }
  const double sum = sum_in_order(losses, group);
  if (!std::isfinite(sum)) throw input_error("validation", "expected a finite loss, got another");
  return sum;
}

TrainingData split_validation(TrainingData& data, double share) {
  if (!(share > 0 && share < 1))
    throw input_error("validation", "expected a share of the data above 0 and below 1, got {}", share);
  const auto count = std::max<dim>(1, dim(share * double(data.sequences.size())));
  if (count >= dim(data.sequences.size()))
    throw Error(Blame::input, "validation",
                fmt::format("expected more than {} sequences, got {}", count, data.sequences.size()),
                "a smaller --length makes more");
  TrainingData out;
  out.sequences.assign(data.sequences.end() - std::ptrdiff_t(count), data.sequences.end());
  data.sequences.resize(data.sequences.size() - std::size_t(count));
  const auto longest = std::size_t(data.longest());  // what reads the data has room for
  for (TrainingSequence& s : out.sequences) {
    s.tokens.resize(std::min(s.tokens.size(), longest));
    s.predicted.resize(s.tokens.size());
  }
  std::erase_if(out.sequences, [](const TrainingSequence& s) { return s.count() == 0; });
  if (out.sequences.empty()) throw input_error("validation", "expected sequences that predict something, found none");
  out.hash = fmt::format("last {} of {}", count, data.hash);
  return out;
}

}  // namespace pith
