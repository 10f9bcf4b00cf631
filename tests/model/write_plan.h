// Writes an export plan the plain way: every tensor whole, encoded with the format's own search.
#pragma once
#include <fstream>
#include <functional>

#include "core/error.h"
#include "formats/format.h"
#include "model/export.h"

namespace pith::test {

inline std::vector<float> decoded(const ModelTensor& t) {
  std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
  const dim bytes = row_bytes(*t.weight.format, t.weight.cols);
  for (dim r = 0; r < t.weight.rows; ++r)
    t.weight.format->decode(*t.weight.format, t.weight.data + r * bytes, t.weight.cols, out.data() + r * t.weight.cols);
  return out;
}

inline std::vector<std::byte> encoded(const Model& model, const ExportTensor& t) {
  const ModelTensor& source = model.tensors()[t.source];
  auto values = decoded(source);
  dim rows = source.weight.rows, cols = source.weight.cols;
  if (t.transpose) {
    const auto before = values;
    for (std::size_t i = 0; i < before.size(); ++i)
      values[i % std::size_t(cols) * std::size_t(rows) + i / std::size_t(cols)] = before[i];
    std::swap(rows, cols);
  }
  const dim bytes = row_bytes(*t.format, cols);
  std::vector<std::byte> out(std::size_t(rows * bytes));
  for (dim r = 0; r < rows; ++r) {
    const dim from = t.rows_from.empty() ? r : t.rows_from[std::size_t(r)];
    t.format->encode(*t.format, values.data() + from * cols, nullptr, cols, RangeSearch{}, out.data() + r * bytes);
  }
  return out;
}

// Into `folder`; returns what Model::open wants.
inline std::filesystem::path write_plan(const Model& model, const ExportPlan& plan,
                                        const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::vector<std::string> files;
  for (const ExportFile& file : plan.files) {
    files.push_back(file.head);
    files.back().resize(std::size_t(file.total_bytes), '\0');
  }
  for (const ExportTensor& t : plan.tensors) {
    const ModelTensor& source = model.tensors()[t.source];
    lay_out(t, t.transpose ? source.weight.cols : source.weight.rows,
            t.transpose ? source.weight.rows : source.weight.cols, encoded(model, t),
            [&](const Slot& slot, std::span<const std::byte> bytes) {
              PITH_CHECK(slot.size_bytes == dim(bytes.size()));
              std::copy_n(reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                          files[slot.file].begin() + slot.offset_bytes);
            });
  }
  for (std::size_t i = 0; i < files.size(); ++i)
    std::ofstream(folder / plan.files[i].name, std::ios::binary) << files[i];
  for (const SideFile& file : plan.side_files) std::ofstream(folder / file.name, std::ios::binary) << file.text;
  return plan.container == Container::gguf ? folder / plan.files.at(0).name : folder;
}

// All matrices in one format where `choose` says so, else f32.
inline std::vector<const Format*> formats_for(const Model& model,
                                              const std::function<const Format*(const ModelTensor&)>& choose) {
  std::vector<const Format*> out;
  for (const ModelTensor& t : model.tensors()) out.push_back(choose(t));
  return out;
}
inline std::vector<const Format*> all_f32(const Model& model) {
  return formats_for(model, [](const ModelTensor&) { return &f32_format(); });
}

}  // namespace pith::test
