#include "model/roles.h"

#include <fmt/format.h>

#include <iterator>
#include <span>

#include "core/error.h"

namespace pith {

namespace {

enum class Kind { embedding, norm, linear, rest };

struct RoleRow {
  Role role;
  std::string_view name;
  Kind kind;
};

constexpr RoleRow kRoles[] = {
    {Role::embed, "embed", Kind::embedding},
    {Role::pos_embed, "pos_embed", Kind::embedding},
    {Role::attn_norm, "attn_norm", Kind::norm},
    {Role::attn_norm_2, "attn_norm_2", Kind::norm},
    {Role::attn_q, "attn_q", Kind::linear},
    {Role::attn_k, "attn_k", Kind::linear},
    {Role::attn_v, "attn_v", Kind::linear},
    {Role::attn_qkv, "attn_qkv", Kind::linear},
    {Role::attn_o, "attn_o", Kind::linear},
    {Role::attn_q_norm, "attn_q_norm", Kind::norm},
    {Role::attn_k_norm, "attn_k_norm", Kind::norm},
    {Role::attn_post_norm, "attn_post_norm", Kind::norm},
    {Role::ffn_norm, "ffn_norm", Kind::norm},
    {Role::ffn_gate, "ffn_gate", Kind::linear},
    {Role::ffn_up, "ffn_up", Kind::linear},
    {Role::ffn_down, "ffn_down", Kind::linear},
    {Role::ffn_gate_up, "ffn_gate_up", Kind::linear},
    {Role::ffn_post_norm, "ffn_post_norm", Kind::norm},
    {Role::router, "router", Kind::rest},
    {Role::expert_gate, "expert_gate", Kind::linear},
    {Role::expert_up, "expert_up", Kind::linear},
    {Role::expert_down, "expert_down", Kind::linear},
    {Role::shared_gate, "shared_gate", Kind::linear},
    {Role::shared_up, "shared_up", Kind::linear},
    {Role::shared_down, "shared_down", Kind::linear},
    {Role::shared_router, "shared_router", Kind::rest},
    {Role::output_norm, "output_norm", Kind::norm},
    {Role::lm_head, "lm_head", Kind::embedding},
    {Role::rope_factors, "rope_factors", Kind::rest},
    {Role::rope_long_factors, "rope_long_factors", Kind::rest},
    {Role::other, "other", Kind::rest},
};

constexpr bool in_order_of_enum() {
  for (std::size_t i = 0; i < std::size(kRoles); ++i)
    if (kRoles[i].role != Role(i)) return false;
  return std::size(kRoles) == std::size_t(Role::other) + 1;
}
static_assert(in_order_of_enum());

const RoleRow& row_of(Role role) { return kRoles[std::size_t(role)]; }

}  // namespace

std::string_view part_name(Part part) {
  constexpr std::string_view kNames[] = {"weight", "bias", "inner", "difference_a", "difference_b"};
  return kNames[std::size_t(part)];
}

std::string_view role_name(Role role) { return row_of(role).name; }

Role role_or_throw(std::string_view name) {
  std::string names;
  for (const RoleRow& row : kRoles) {
    if (row.name == name) return row.role;
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  throw input_error("role", "expected one of {}; got '{}'", names, name);
}

bool is_norm(Role role) { return row_of(role).kind == Kind::norm; }
bool is_linear(Role role) { return row_of(role).kind == Kind::linear; }
bool is_expert(Role role) { return role == Role::expert_gate || role == Role::expert_up || role == Role::expert_down; }
bool is_embedding(Role role) { return row_of(role).kind == Kind::embedding; }

Role shared_input(Role role) {
  switch (role) {
    case Role::attn_q:
    case Role::attn_k:
      return Role::attn_v;
    case Role::ffn_gate:
      return Role::ffn_up;
    case Role::expert_gate:
      return Role::expert_up;
    case Role::shared_gate:
      return Role::shared_up;
    default:
      return role;
  }
}

}  // namespace pith
