#include "compress/verify.h"

#include <map>
#include <tuple>

#include "compress/source_rows.h"
#include "core/error.h"

namespace pith {

namespace {

Error unlike_plan(std::string_view tensor, const std::string& expected, const std::string& got) {
  return environment_error(tensor, "the file as written differs from the plan: expected {}, got {}", expected, got);
}

// Offsets and sizes by the container's own reader. An expert's slot lies anywhere in the stack of its layer.
void check_slot(const Slot& slot, bool in_stack, dim offset_bytes, dim size_bytes) {
  const dim before_bytes = slot.offset_bytes - offset_bytes;
  if (before_bytes < 0 || (!in_stack && before_bytes != 0) || size_bytes - before_bytes < slot.size_bytes)
    throw unlike_plan(slot.name, fmt::format("{} bytes at {}", slot.size_bytes, slot.offset_bytes),
                      fmt::format("{} bytes at {}", size_bytes, offset_bytes));
}

void check_places(const std::filesystem::path& folder, const Model& source, const ExportPlan& plan) {
  for (std::size_t file = 0; file < plan.files.size(); ++file) {
    const auto path = folder / plan.files[file].name;
    const auto check = [&](const auto& opened) {
      for (const ExportTensor& t : plan.tensors)
        t.for_slots([&](const Slot& slot) {
          if (slot.file != file) return;
          const auto* found = opened.find(slot.name);
          if (!found) throw unlike_plan(slot.name, "the tensor", "none of that name");
          const bool in_stack = plan.container == Container::gguf && source.tensors()[t.source].expert >= 0;
          check_slot(slot, in_stack, found->offset_bytes, found->size_bytes);
        });
    };
    if (plan.container == Container::gguf)
      check(GgufFile(path));
    else
      check(SafetensorsSet::open(path));
  }
}

using Place = std::tuple<Role, Part, dim, dim>;
Place place_of(const ModelTensor& t) { return {t.role, t.part, t.layer, t.expert}; }

void check_rows(const ModelTensor& t) {
  const Encoded& w = t.weight;
  if (w.rows == 0) return;
  std::vector<float> row(static_cast<std::size_t>(w.cols));
  for (const dim r : {dim(0), w.rows / 2, w.rows - 1}) {
    decode_row(t, r, row.data());
    const std::string fault = first_not_finite(row.data(), 1, w.cols, r);
    if (!fault.empty()) throw unlike_plan(t.name, "finite values", fault);
  }
}

void check_tensor(const ModelTensor* t, const ModelTensor& from, const ExportTensor& planned) {
  if (!t) throw unlike_plan(planned.slots[0].name, std::string(role_name(from.role)), "no such tensor");
  const Encoded& w = t->weight;
  if (w.rows != from.weight.rows || w.cols != from.weight.cols || w.format != planned.format)
    throw unlike_plan(t->name, fmt::format("{} ({} x {})", planned.format->name, from.weight.rows, from.weight.cols),
                      fmt::format("{} ({} x {})", w.format->name, w.rows, w.cols));
  const OutlierShape found = t->outliers ? OutlierShape{t->outliers->values.cols, t->outliers->shared} : OutlierShape();
  if (found.per_row != planned.outliers.per_row ||
      (found.whole_columns != planned.outliers.whole_columns && w.rows > 1))
    throw unlike_plan(t->name, fmt::format("{} outliers a row", planned.outliers.per_row),
                      fmt::format("{}", found.per_row));
  if (t->sparse.has_value() != planned.sparse.has_value() ||
      (planned.sparse && t->sparse->layout != planned.sparse->layout))
    throw unlike_plan(t->name, planned.sparse ? "zeros left out" : "all values", "another layout");
  if ((t->turn != nullptr) != (planned.turn != nullptr))
    throw unlike_plan(t->name, planned.turn ? "a turned matrix" : "a matrix as it is", "the other");
  check_rows(*t);
}

}  // namespace

void verify(const std::filesystem::path& folder, const Model& source, const Prepared& prepared) {
  const ExportPlan& plan = prepared.plan;
  check_places(folder, source, plan);
  const Model written = Model::open(plan.container == Container::gguf ? folder / plan.files.at(0).name : folder);
  std::map<Place, const ModelTensor*> at;
  for (const ModelTensor& t : written.tensors()) at.emplace(place_of(t), &t);
  std::vector<const ModelTensor*> recent;
  for (const ExportTensor& planned : plan.tensors) {
    const ModelTensor& from = source.tensors()[planned.source];
    if (from.role == Role::other) continue;  // carried along; only its bytes' place is known
    const auto found = at.find(place_of(from));
    check_tensor(found == at.end() ? nullptr : found->second, from, planned);
    recent.push_back(found->second);
    if (recent.size() < 32) continue;
    for (const ModelTensor* t : recent) written.release(*t);  // so many at once: each maps pages of its neighbours, too
    recent.clear();
  }
}

}  // namespace pith
