#include "model/backward/score_heads.h"

#include <cmath>
#include <vector>

#include "kernels/rows_backward.h"
#include "model/forward_head_norm.h"
#include "model/forward_rope.h"
#include "model/sliding.h"
#include "ops/parts.h"

namespace pith {

bool ScoreHeads::slides() const { return layer_slides(config_, layer_); }

void ScoreHeads::begin(dim layer, std::span<const dim> lengths) {
  layer_ = layer;
  if (!config_.rope.on) return;
  std::vector<dim> positions;
  for (const dim length : lengths)
    for (dim p = 0; p < length; ++p) positions.push_back(p);
  const RopeChoice choice = rope_choice(config_, slides(), max_length_);
  rope_.fill(rope_frequencies(choice, max_length_), choice.magnitude, positions);
}

void ScoreHeads::to_scores(float* x, dim n, dim count, const Norm& norm) const {
  const HeadNorm normed = {norm, config_};
  const dim width = count * config_.head_dim;
  parallel_for(
      n,
      [&](dim i) {
        normed(x + i * width, count);
        if (config_.rope.on)
          rope_row(x + i * width, count, config_.head_dim, rope_, i, config_.rope.pairing == RopePairing::neighbours);
      },
      grain_of(width));
}

void ScoreHeads::turn_back(float* gradient, dim n, dim count) const {
  if (!config_.rope.on) return;
  const dim width = count * config_.head_dim;
  parallel_for(
      n,
      [&](dim i) {
        for (dim h = 0; h < count; ++h)
          rotate_back(gradient + i * width + h * config_.head_dim, rope_.cosine(i), rope_.sine(i), rope_.half(),
                      config_.rope.pairing == RopePairing::neighbours);
      },
      grain_of(width));
}

AttentionShape ScoreHeads::shape() const {
  return {.heads = config_.heads,
          .kv_heads = config_.kv_heads,
          .head_dim = config_.head_dim,
          .scale = float(config_.attn_scale > 0 ? config_.attn_scale : 1 / std::sqrt(double(config_.head_dim))),
          .softcap = float(config_.attn_softcap),
          .window = slides() ? config_.sliding_window : 0};
}

}  // namespace pith
