#include "compress/structured/walk.h"

#include <algorithm>

#include "model/block_forward.h"

namespace pith {

void walk_blocks(const Model& model, const CalibrationTokens& tokens, std::string_view stage, std::string_view doing,
                 Progress& progress, LinearObserver& observer,
                 const std::function<void(dim layer, const float* x, dim length)>& stream) {
  const Config& c = model.config();
  std::size_t longest = 0;
  for (const auto& s : tokens.sequences) longest = std::max(longest, s.size());
  BlockForward forward(Network::of(model), dim(longest));
  std::vector<float> x(longest * std::size_t(c.hidden));
  progress.begin(stage, dim(tokens.sequences.size()));
  for (const auto& sequence : tokens.sequences) {
    const dim length = dim(sequence.size());
    forward.embed(sequence, x.data());
    for (dim layer = 0; layer < c.layers; ++layer) {
      if (stream) stream(layer, x.data(), length);
      forward.run(layer, x.data(), length, &observer);
    }
    if (stream) stream(c.layers, x.data(), length);
    progress.advance(1, doing);
  }
}

}  // namespace pith
