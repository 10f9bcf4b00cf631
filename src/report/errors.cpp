// The tables of quality.h that have a row for a role or a layer.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "report/quality.h"

namespace pith::report {
namespace {

bool shown(const TensorOutcome& t) { return is_linear(t.role) || is_embedding(t.role); }

std::string error_text(double relative_error) {
  return relative_error > 0 ? fmt::format("{:.3g} %", 100 * relative_error) : std::string("exact");
}
std::string sqnr_text(const TensorOutcome& t) {
  return t.relative_error > 0 ? fmt::format("{:.1f} dB", t.sqnr_db) : std::string("-");
}

struct RoleErrors {
  dim tensors = 0;
  double sum = 0;
  const TensorOutcome* worst = nullptr;
  std::vector<std::string> formats;  // in order of appearance
};

void add(RoleErrors& errors, const TensorOutcome& t) {
  ++errors.tensors;
  errors.sum += t.relative_error;
  if (!errors.worst || t.relative_error > errors.worst->relative_error) errors.worst = &t;
  const std::string name(t.format->name);
  if (std::find(errors.formats.begin(), errors.formats.end(), name) == errors.formats.end())
    errors.formats.push_back(name);
}

}  // namespace

Table role_errors(const Outcome& outcome) {
  std::map<Role, RoleErrors> roles;  // in the order of the enumeration: embeddings, attention, feed-forward, head
  for (const TensorOutcome& t : outcome.tensors)
    if (shown(t)) add(roles[t.role], t);
  Table table;
  table.columns = {{"role", false},       {"tensors", true},    {"format", false},      {"mean error", true},
                   {"worst error", true}, {"worst SQNR", true}, {"worst tensor", false}};
  for (const auto& [role, errors] : roles)
    table.rows.push_back({std::string(role_name(role)), fmt::format("{}", errors.tensors),
                          fmt::format("{}", fmt::join(errors.formats, ", ")),
                          error_text(errors.sum / double(errors.tensors)), error_text(errors.worst->relative_error),
                          sqnr_text(*errors.worst), errors.worst->name});
  return table;
}

Table layer_errors(const Outcome& outcome) {
  std::set<Role> roles;
  std::map<dim, std::map<Role, const TensorOutcome*>> layers;  // the worst of several (experts)
  for (const TensorOutcome& t : outcome.tensors) {
    if (!is_linear(t.role) || t.layer < 0) continue;
    roles.insert(t.role);
    const TensorOutcome*& worst = layers[t.layer][t.role];
    if (!worst || t.relative_error > worst->relative_error) worst = &t;
  }
  Table table;
  table.columns = {{"layer", true}};
  for (const Role role : roles) table.columns.push_back({std::string(role_name(role)), true});
  for (const auto& [layer, cells] : layers) {
    std::vector<std::string> row = {fmt::format("{}", layer)};
    for (const Role role : roles) {
      const auto at = cells.find(role);
      row.push_back(at == cells.end() ? "" : error_text(at->second->relative_error) + " " + sqnr_text(*at->second));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table expert_tokens(const Outcome& outcome) {
  std::map<dim, std::vector<dim>> layers;
  for (const TensorOutcome& t : outcome.tensors)
    if (t.role == Role::expert_up && t.tokens >= 0) layers[t.layer].push_back(t.tokens);
  Table table;
  table.columns = {{"layer", true}, {"experts", true}, {"fewest tokens", true}, {"most tokens", true}, {"none", true}};
  for (const auto& [layer, tokens] : layers) {
    const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
    table.rows.push_back({fmt::format("{}", layer), fmt::format("{}", tokens.size()), fmt::format("{}", *least),
                          fmt::format("{}", *most), fmt::format("{}", std::count(tokens.begin(), tokens.end(), 0))});
  }
  return table;
}

}  // namespace pith::report
