#include "compress/calibrate/block_norms.h"

namespace pith {

Norm* find_norm(Block& block, Role role, bool two) {
  switch (role) {
    case Role::attn_norm:
      return two ? &block.ffn_norm : &block.attn_norm;
    case Role::attn_norm_2:
      return &block.attn_norm;
    case Role::ffn_norm:
      return &block.ffn_norm;
    case Role::attn_post_norm:
      return &block.attn_post_norm;
    case Role::ffn_post_norm:
      return &block.ffn_post_norm;
    case Role::attn_q_norm:
      return &block.q_norm;
    case Role::attn_k_norm:
      return &block.k_norm;
    default:
      return nullptr;
  }
}

}  // namespace pith
