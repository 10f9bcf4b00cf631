// The same forward pass one block at a time: for calibration, where the blocks before were changed and those after
// were not.
#pragma once
#include "model/forward.h"

namespace pith {

class BlockForward {
 public:
  // Views: the blocks may change between calls. Up to `sequences` at once, each of up to max_length tokens.
  // Error(input) when a matrix has not the shape that the choices ask for.
  BlockForward(const Network& network, dim max_length, dim sequences = 1);
  ~BlockForward();

  // The residual stream of a sequence before the first block, (tokens, hidden).
  void embed(std::span<const Token> tokens, float* hidden);
  // One whole sequence from its first token: hidden (length, hidden) before `layer` becomes what follows it.
  void run(dim layer, float* hidden, dim length, LinearObserver* observer = nullptr) {
    run(layer, hidden, std::span(&length, 1), observer);
  }
  // Several, one after another.
  void run(dim layer, float* hidden, std::span<const dim> lengths, LinearObserver* observer = nullptr);
  // hidden after the last block: shows the input of the head, normalised, to the observer.
  void show_head(float* hidden, dim length, LinearObserver& observer);

  dim hidden_size() const;
  static dim working_bytes(const Config& config, dim max_length);  // about

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
