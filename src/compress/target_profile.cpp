#include "compress/target_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compress/policy.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr int kFourOrEight[] = {4, 8}, kGptqBits[] = {2, 3, 4, 8}, kFour[] = {4};

// Sizes: vLLM's Marlin kernels take tiles of 64 output and 128 input features.
constexpr TargetRule kVllm[] = {
    {Container::hf, kFourOrEight, 64, 128},
    {Container::gptq, kFourOrEight, 64, 128},
    {Container::awq, kFour, 64, 128},
    {Container::bnb, {}},
};
constexpr TargetRule kLlamaCpp[] = {{Container::gguf, {}}};
constexpr TargetRule kTransformers[] = {
    {Container::hf, {}}, {Container::gptq, kGptqBits}, {Container::awq, kFour}, {Container::bnb, {}}};
constexpr TargetRule kMlx[] = {{Container::mlx, {}}};

constexpr TargetProfile kTargets[] = {
    {"vllm", "compressed-tensors, GPTQ or AWQ of 4 or 8 bits, or NF4; q, k, v and gate, up alike", kVllm, true},
    {"llama.cpp", "GGUF", kLlamaCpp, false},
    {"transformers", "compressed-tensors, GPTQ, AWQ or NF4", kTransformers, false},
    {"mlx", "MLX's affine groups", kMlx, false},
};

constexpr std::size_t kShown = 24;

const TargetRule* rule_of(const TargetProfile& target, Container container) {
  const auto at = std::find_if(target.rules.begin(), target.rules.end(),
                               [&](const TargetRule& rule) { return rule.container == container; });
  return at == target.rules.end() ? nullptr : &*at;
}

std::string containers_of(const TargetProfile& target) {
  std::string names;
  for (const TargetRule& rule : target.rules)
    names.append(names.empty() ? "" : ", ").append(container_name(rule.container));
  return names;
}

// "32 rows, not a multiple of 64"; empty when the rule is kept.
std::string offence(const TargetRule& rule, const TensorPlan& plan) {
  if (is_dense(*plan.to)) return {};
  if (plan.outliers.per_row > 0) return "outliers apart, which only pith reads";
  const int bits = plan.to->int_group.bits;
  if (bits > 0 && !rule.bits.empty() && std::find(rule.bits.begin(), rule.bits.end(), bits) == rule.bits.end())
    return fmt::format("{} bits, not {}", bits, fmt::join(rule.bits, " or "));
  if (plan.rows % rule.rows_multiple != 0)
    return fmt::format("{} rows, not a multiple of {}", plan.rows, rule.rows_multiple);
  if (plan.cols % rule.cols_multiple != 0)
    return fmt::format("{} columns, not a multiple of {}", plan.cols, rule.cols_multiple);
  return {};
}

// Layers that run as one product: the first of them stands for all.
Role fused_with(Role role) {
  if (role == Role::attn_k || role == Role::attn_v) return Role::attn_q;
  return role == Role::ffn_up ? Role::ffn_gate : role;
}

void add_unlike(std::span<const TensorPlan> plans, std::vector<std::string>& offences) {
  std::map<std::pair<dim, Role>, const TensorPlan*> first;
  for (const TensorPlan& plan : plans) {
    if (plan.rows == 1 ||
        (fused_with(plan.role) == plan.role && plan.role != Role::attn_q && plan.role != Role::ffn_gate))
      continue;
    const auto [at, fresh] = first.try_emplace({plan.layer, fused_with(plan.role)}, &plan);
    if (!fresh && at->second->to != plan.to)
      offences.push_back(
          fmt::format("{}: {}, but {} is {}", plan.name, plan.to->name, at->second->name, at->second->to->name));
  }
}

}  // namespace

std::span<const TargetProfile> all_targets() { return kTargets; }

const TargetProfile& target_or_throw(std::string_view name) {
  std::string names;
  for (const TargetProfile& target : kTargets) {
    if (target.name == name) return target;
    names.append(names.empty() ? "" : ", ").append(target.name);
  }
  throw input_error("target", "expected one of {}; got '{}'", names, name);
}

Container container_for(const TargetProfile& target, const Format* format, const ModelTensor& t) {
  for (const TargetRule& rule : target.rules)
    if (!format || misfit(rule.container, *format, t).empty()) return rule.container;
  throw input_error("target", "expected a format that {} loads ({}), got {}", target.name, target.summary,
                    format->name);
}

void check_target(const TargetProfile& target, Container container, std::span<const TensorPlan> plans) {
  const TargetRule* rule = rule_of(target, container);
  if (!rule)
    throw input_error("target", "expected --to {} for {}, got {}", containers_of(target), target.name,
                      container_name(container));
  std::vector<std::string> offences;
  for (const TensorPlan& plan : plans)
    if (const std::string what = offence(*rule, plan); !what.empty())
      offences.push_back(fmt::format("{} as {}: {}", plan.name, plan.to->name, what));
  if (target.fused) add_unlike(plans, offences);
  if (offences.empty()) return;
  const auto shown = std::span(offences).first(std::min(kShown, offences.size()));
  throw Error(Blame::input, "target",
              fmt::format("{} would not load {} tensors: {}{}", target.name, offences.size(), fmt::join(shown, "; "),
                          offences.size() > kShown ? "; ..." : ""),
              "name other formats for these roles with --override, f16 to leave them dense");
}

}  // namespace pith
