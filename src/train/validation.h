// The loss on data that is not learned from.
#pragma once
#include "core/group.h"
#include "train/objective.h"

namespace pith {

// Mean over the data's predicted tokens of what the objective says of the network's logits; of states between blocks
// it is not asked.
double validation_loss(const Network& network, const TrainingData& data, Objective& objective, dim micro_tokens,
                       Group& group = one_process());

// Takes the last sequences of `data`, about this share and at least one, as data of their own, cut to the longest of
// those that stay. share: above 0, below 1; Error(input) where that leaves nothing to learn from or to measure.
TrainingData split_validation(TrainingData& data, double share);

}  // namespace pith
