// How far changed networks are from a model, on some tokens.
#pragma once
#include <span>
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "core/buffer.h"
#include "model/forward.h"

namespace pith {

// Holds the logits of the model for the first tokens: fewer where the vocabulary is large.
class Probe {
 public:
  // Borrows both.
  Probe(const Model& model, const CalibrationTokens& tokens, dim most_tokens = 1024);
  struct Result {
    double kl = 0;   // the mean over all tokens of KL(model || network)
    double nll = 0;  // the mean of -ln p of each next token
  };
  Result measure(const Network& network);
  double divergence(const Network& network) { return measure(network).kl; }

 private:
  void run(const Network& network, const Forward::LogitsSink& sink);

  const Model& model_;
  std::vector<std::span<const Token>> chunks_;
  std::vector<Token> next_;  // -1 after the last of a chunk
  dim count_ = 0;
  Buffer held_;
};

}  // namespace pith
