// How one kind of checkpoint stores the packed layers of a Hugging Face folder, for export.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "model/export.h"

namespace pith {

// A linear layer as config.json speaks of it: the module's name and its format (null: left as it is).
struct LinearModule {
  std::string name;  // "model.layers.0.mlp.up_proj"
  const Format* format = nullptr;
  dim cols = 0;
  const ActPlan* act = nullptr;         // how its input is rounded; null: not at all
  const Turn* turn = nullptr;           // as ModelTensor::turn
  const SparseShape* sparse = nullptr;  // stored without its zeros; null: with them
};

// The stored tensors of one layer, in the order of Layout::parts.
using PackedParts = std::vector<std::vector<std::byte>>;

struct Layout {
  std::string_view name;    // "gptq"
  bool embeddings = false;  // whether embeddings may be packed, too
  // Empty when it stores this format at this shape, else what it expects: "columns in multiples of 8".
  std::string (*misfit)(const Format& format, dim rows, dim cols);
  // `base` is the module's name. The parts of a layer, with names, types and shapes.
  std::vector<SafeTensor> (*parts)(std::string_view base, const Format& format, dim rows, dim cols);
  // encoded: rows * row_bytes(format, cols) bytes.
  PackedParts (*pack)(const Format& format, dim rows, dim cols, std::span<const std::byte> encoded);
  // Adds to config.json; at least one module has a format. Error(input) for mixtures that it cannot describe.
  void (*describe)(std::span<const LinearModule> modules, nlohmann::json& config);
};

// For the layers of one folder: some layouts have versions. The formats are those of the packed layers. Error(input)
// for Container::gguf is a bug of ours. `act`: how inputs will be rounded.
const Layout& layout_of(Container container, std::span<const Format* const> formats = {}, const ActPlan& act = {});

extern const Layout compressed_tensors_layout, compressed_tensors_a8_layout, awq_layout, bitsandbytes_layout,
    mlx_layout, pith_layout;
const Layout& gptq_layout(std::span<const Format* const> formats);

// For the layouts.
SafeTensor stored_part(std::string name, std::string_view dtype, std::vector<dim> shape);

}  // namespace pith
