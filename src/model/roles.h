// What a tensor does in the model. Policy, reports and surgery key on (role, layer), never on names.
#pragma once
#include <string_view>

#include "core/base.h"

namespace pith {

enum class Role {
  embed,
  pos_embed,
  attn_norm,
  attn_norm_2,  // of the attention alone, where attn_norm is the feed-forward's (falcon)
  attn_q,
  attn_k,
  attn_v,
  attn_qkv,
  attn_o,
  attn_q_norm,
  attn_k_norm,
  attn_post_norm,
  ffn_norm,
  ffn_gate,
  ffn_up,
  ffn_down,
  ffn_gate_up,
  ffn_post_norm,
  router,
  expert_gate,
  expert_up,
  expert_down,
  shared_gate,
  shared_up,
  shared_down,
  shared_router,
  output_norm,
  lm_head,
  rope_factors,
  rope_long_factors,
  other,
};

// inner: of a factored matrix, which is weight * inner: what reads the input. Its `weight` reads what that gives.
// difference_a, difference_b: the block's matrix is its `weight`, which several blocks may share, plus
// difference_b (rows, rank) * difference_a (rank, cols).
enum class Part { weight, bias, inner, difference_a, difference_b };

std::string_view part_name(Part part);      // "difference_a"
std::string_view role_name(Role role);      // "attn_q"
Role role_or_throw(std::string_view name);  // Error(input) that lists the names
bool is_norm(Role role);
bool is_linear(Role role);  // a matrix that multiplies activations inside a block: what methods compress by default
bool is_expert(Role role);  // a matrix that each expert has
// Of the roles that read the same input, the one that stands for all: attn_v for attn_q, ...
Role shared_input(Role role);
bool is_embedding(Role role);  // embed, pos_embed, lm_head: large, looked up or last; with a policy of their own

}  // namespace pith
