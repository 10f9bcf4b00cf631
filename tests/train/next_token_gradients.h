// Gradients of all that is learned, of the mean -ln p of a text's next tokens.
#pragma once
#include "train/objective.h"
#include "train/trainable.h"

namespace pith::test {

inline void next_token_gradients(Trainable& trainable, const std::vector<std::vector<Token>>& text) {
  std::vector<TrainingSequence> sequences;
  for (const auto& tokens : text) {
    sequences.push_back({tokens, std::vector<char>(tokens.size(), 1)});
    sequences.back().predicted[0] = 0;
  }
  MicroBatch batch;
  for (const TrainingSequence& s : sequences) batch.add(s);
  const auto loss = cross_entropy_objective(trainable.network().config->vocab);
  loss->begin(batch, 1 / double(batch.places.size()));
  ModelBackward backward(trainable.network(), 8, 1);
  trainable.clear_gradients();
  trainable.add_gradients(backward, batch.sequences, batch.places, *loss);
}

}  // namespace pith::test
