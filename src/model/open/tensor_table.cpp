#include "model/open/tensor_table.h"

#include <algorithm>

#include "core/error.h"

namespace pith {

namespace {

constexpr std::size_t kMostDigits = 6;

bool is_number(std::string_view s) {
  return !s.empty() && s.size() <= kMostDigits && (s.size() == 1 || s[0] != '0') &&
         std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

struct Split {
  std::string pattern;
  dim layer = -1, expert = -1;
};

// The first two components that are numbers become {}.
Split split_numbers(std::string_view name) {
  Split split;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    const bool hole = is_number(part) && split.expert < 0;
    if (hole) (split.layer < 0 ? split.layer : split.expert) = std::stoll(std::string(part));
    split.pattern.append(begin == 0 ? "" : ".").append(hole ? "{}" : part);
    begin = end + 1;
  }
  return split;
}

// (rows, cols) of a matrix; the vectors are handled by the caller.
std::vector<dim> matrix_shape(const Config& c, Role role) {
  const dim q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  switch (role) {
    case Role::embed:
    case Role::lm_head:
      return {c.vocab, c.hidden};
    case Role::pos_embed:
      return {c.context + c.position_offset, c.hidden};
    case Role::attn_q:
      return {q, c.hidden};
    case Role::attn_k:
    case Role::attn_v:
      return {kv, c.hidden};
    case Role::attn_qkv:
      return {q + 2 * kv, c.hidden};
    case Role::attn_o:
      return {c.hidden, q};
    case Role::ffn_gate:
    case Role::ffn_up:
      return {c.ffn, c.hidden};
    case Role::ffn_gate_up:
      return {2 * c.ffn, c.hidden};
    case Role::ffn_down:
      return {c.hidden, c.ffn};
    case Role::router:
      return {c.experts, c.hidden};
    case Role::expert_gate:
    case Role::expert_up:
      return {c.expert_ffn, c.hidden};
    case Role::expert_down:
      return {c.hidden, c.expert_ffn};
    case Role::shared_gate:
    case Role::shared_up:
      return {c.shared_ffn, c.hidden};
    case Role::shared_down:
      return {c.hidden, c.shared_ffn};
    case Role::shared_router:
      return {1, c.hidden};
    default:
      throw InternalError(fmt::format("no shape is known for role {}", role_name(role)));
  }
}

}  // namespace

TensorTable::TensorTable(const Arch& arch, bool hf) : arch_(arch), hf_(hf) {
  for (std::size_t i = 0; i < arch.tensors.size(); ++i)
    if (!name(arch.tensors[i]).empty()) by_pattern_.emplace(name(arch.tensors[i]), i);
}

TensorTable::Match TensorTable::match(std::string_view tensor) const {
  const Split split = split_numbers(tensor);
  auto at = by_pattern_.find(split.pattern);
  if (at == by_pattern_.end() && hf_ && !arch_.hf_prefix.empty())
    at = by_pattern_.find(std::string(arch_.hf_prefix) + split.pattern);
  if (at == by_pattern_.end()) return {};
  return {&arch_.tensors[at->second], split.layer, split.expert, at->second};
}

std::string tensor_name(std::string_view pattern, dim layer, dim expert) {
  const std::size_t at = pattern.find("{}");
  if (at == std::string_view::npos) return std::string(pattern);
  const std::string rest =
      expert < 0 ? std::string(pattern.substr(at + 2)) : tensor_name(pattern.substr(at + 2), expert);
  return fmt::format("{}{}{}", pattern.substr(0, at), layer, rest);
}

constexpr std::string_view kWeight = ".weight";
constexpr std::pair<Part, std::string_view> kParts[] = {{Part::inner, ".inner.weight"},
                                                        {Part::difference_a, ".difference_a.weight"},
                                                        {Part::difference_b, ".difference_b.weight"}};

std::string name_of_part(std::string_view weight, Part part) {
  PITH_CHECK(weight.ends_with(kWeight));
  const std::string_view module = weight.substr(0, weight.size() - kWeight.size());
  for (const auto& [known, suffix] : kParts)
    if (known == part) return std::string(module).append(suffix);
  throw InternalError("a part without a name of its own");
}

std::optional<NamedPart> named_part(std::string_view name) {
  for (const auto& [part, suffix] : kParts)
    if (name.ends_with(suffix))
      return NamedPart{std::string(name.substr(0, name.size() - suffix.size())).append(kWeight), part};
  return std::nullopt;
}

std::vector<dim> expected_shape(const Config& c, Role role, Part part, bool hf) {
  if (role == Role::attn_q_norm || role == Role::attn_k_norm) {
    const dim heads = role == Role::attn_q_norm ? c.heads : c.kv_heads;
    if (c.head_norms == HeadNorms::each) return {heads, c.head_dim};
    return {c.head_norms == HeadNorms::whole ? heads * c.head_dim : c.head_dim};
  }
  if (is_norm(role)) return {c.hidden};
  if (role == Role::rope_factors || role == Role::rope_long_factors) return {c.rope.dims / 2};
  if (role == Role::shared_router && !hf) return {c.hidden};
  std::vector<dim> shape = matrix_shape(c, role);
  if (part == Part::bias) shape.pop_back();
  return shape;
}

}  // namespace pith
