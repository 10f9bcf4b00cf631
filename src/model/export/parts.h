// What both exporters share.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/half.h"
#include "model/export.h"

namespace pith {

// A tensor of the target before it has a place.
struct Outgoing {
  std::string name;
  std::vector<dim> shape;  // slowest dimension first
  ExportTensor tensor;     // slots empty; meaningless for literals
  const Format* format = nullptr;
  std::string literal;  // its bytes, when known already (empty: it has a source)
  Role role = Role::other;
  dim expert = -1;  // GGUF stacks the experts of a layer, which follow one another, in one tensor
};

// Literals first, then the model's tensors in order, with names, formats and row orders of the container.
std::vector<Outgoing> outgoing_tensors(const Model& model, Container container,
                                       std::span<const Format* const> format_of,
                                       std::span<const OutlierShape> outliers_of,
                                       std::span<const std::optional<std::uint64_t>> turn_of,
                                       std::span<const std::optional<SparseShape>> sparse_of);

void plan_gguf(const Model& model, std::span<Outgoing> tensors, std::string_view target_name, ExportPlan& plan);
void plan_hf(const Model& model, std::span<Outgoing> tensors, dim max_shard_bytes, ExportPlan& plan);

// config.json, tokenizer.json and the like for these tensors.
std::vector<SideFile> hf_side_files(const Model& model, const Layout& layout, std::span<const Outgoing> tensors,
                                    const RunTime& run_time);

// Rows of a rotated projection: where target row r comes from. to_neighbours: from Hugging Face's order (i, i + n/2)
// to GGUF's (2i, 2i + 1); else back.
std::vector<dim> rope_row_order(dim heads, dim head_dim, bool to_neighbours);

// The same for a fused projection: to_stacked: from QkvOrder::by_head; else back.
std::vector<dim> qkv_row_order(dim heads, dim kv_heads, dim head_dim, bool to_stacked);

// The stored tensors of a matrix's outliers, named after its weight without ".weight" (in GGUF with "pith." before it):
// the columns, (rows or 1, per row) of i16 or i32, and the values, (rows, per row) of f16.
inline constexpr std::string_view kOutlierColumns = ".outlier_columns", kOutlierValues = ".outlier_values";
inline constexpr std::string_view kOutlierPrefix = "pith.";  // of their names in GGUF
inline constexpr const char* kOutlierKey = "pith.outliers";  // the version of this layout, in GGUF
// The stored tensors of a matrix without its zeros (formats/sparse_rows.h): positions u8 (rows, bytes of a row), scales
// u8 (rows, bytes of a row's) where the format has any, values u8 (bytes).
inline constexpr std::string_view kSparsePositions = ".kept_columns", kSparseScales = ".kept_scales",
                                  kSparseValues = ".kept_values";
std::string module_name(std::string_view weight);  // without ".weight"; Error(input) for another name

bool is_dense_format(const Format& format);  // f32, f16, bf16

}  // namespace pith
