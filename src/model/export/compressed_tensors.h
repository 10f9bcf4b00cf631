// Linear layers as compressed-tensors' "pack-quantized" (neuralmagic/compressed-tensors): what vLLM and transformers
// read. Per layer: weight_packed i32 (rows, ceil(cols * bits / 32)), each row one little-endian stream of codes, low
// bits first, signed codes with 2^(bits-1) added; weight_scale f16 (rows, groups); for asymmetric formats
// weight_zero_point i32 (ceil(rows * bits / 32), groups), the same stream down each column; weight_shape i64 (2).
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/int_group.h"
#include "io/safetensors.h"
#include "model/model.h"

namespace pith {

// The stored tensors of a linear layer `name` ("...q_proj.weight"), in the order packed, scale, (zero point,) shape.
std::vector<SafeTensor> packed_tensors(std::string_view name, const Format& format, dim rows, dim cols);

struct PackedWeight {
  std::vector<std::uint32_t> packed;
  std::vector<std::uint16_t> scale;  // float16
  std::vector<std::uint32_t> zero;   // empty for symmetric formats
  std::int64_t shape[2] = {0, 0};
  std::vector<std::span<const std::byte>> parts() const;  // in the order of packed_tensors
};
// encoded: rows * row_bytes(format, cols) bytes of an int group format.
PackedWeight pack_weight(const Format& format, dim rows, dim cols, std::span<const std::byte> encoded);

// A linear layer as config.json speaks of it: the module's name and its format (null: left as it is).
struct LinearModule {
  std::string name;  // "model.layers.0.mlp.up_proj"
  const Format* format = nullptr;
};
// config.json's "quantization_config"; null when no module has a format.
nlohmann::json quantization_config(std::span<const LinearModule> modules);

// Reads such layers back into int group formats.
class PackedReader {
 public:
  // Error(input) that names the key, when the quantization is not of this kind.
  explicit PackedReader(const nlohmann::json& quantization_config);
  static bool is_packed(std::string_view name) { return name.ends_with(".weight_packed"); }
  // weight_scale and so on of a layer that has a weight_packed in `files`.
  static bool is_companion(const SafetensorsSet& files, std::string_view name);
  // Named "....weight"; the rows are repacked into a buffer of its own. Error(input) that names the tensor.
  ModelTensor read(const SafetensorsSet& files, const SafeTensor& packed) const;

 private:
  struct Group {
    std::vector<std::string> targets;
    std::string format_name;
  };
  const Format& format_of(const std::string& module) const;
  std::vector<Group> groups_;
};

}  // namespace pith
