#include "model/export/compressed_tensors.h"

#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "model/export/packed_bits.h"

namespace pith {

namespace {

std::string base_of(std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  PITH_CHECK(name.ends_with(kWeight));
  return std::string(name.substr(0, name.size() - kWeight.size()));
}

SafeTensor stored(std::string name, std::string_view dtype, std::vector<dim> shape) {
  SafeTensor t;
  t.name = std::move(name);
  t.dtype = dtype;
  t.size_bytes = dtype_bits(dtype) / 8;
  for (const dim d : shape) t.size_bytes *= d;
  t.shape = std::move(shape);
  return t;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

nlohmann::json group_of(const Format& f) {
  const bool by_row = f.block == 0;
  nlohmann::json weights = {{"num_bits", f.int_group.bits},
                            {"type", "int"},
                            {"symmetric", f.int_group.symmetric},
                            {"strategy", by_row ? "channel" : "group"},
                            {"group_size", nullptr},
                            {"block_structure", nullptr},
                            {"dynamic", false},
                            {"actorder", nullptr},
                            {"observer", "minmax"}};
  if (!by_row) weights["group_size"] = f.block;
  return {{"format", "pack-quantized"},
          {"weights", std::move(weights)},
          {"input_activations", nullptr},
          {"output_activations", nullptr}};
}

}  // namespace

std::vector<SafeTensor> packed_tensors(std::string_view name, const Format& format, dim rows, dim cols) {
  const std::string base = base_of(name);
  const IntGroupParams p = int_group_params(format, cols);
  std::vector<SafeTensor> out;
  out.push_back(stored(base + ".weight_packed", "I32", {rows, packed_words(cols, p.bits)}));
  out.push_back(stored(base + ".weight_scale", "F16", {rows, p.groups}));
  if (!p.symmetric) out.push_back(stored(base + ".weight_zero_point", "I32", {packed_words(rows, p.bits), p.groups}));
  out.push_back(stored(base + ".weight_shape", "I64", {2}));
  return out;
}

std::vector<std::span<const std::byte>> PackedWeight::parts() const {
  std::vector<std::span<const std::byte>> out{bytes_of(packed), bytes_of(scale)};
  if (!zero.empty()) out.push_back(bytes_of(zero));
  out.push_back(std::as_bytes(std::span(shape)));
  return out;
}

PackedWeight pack_weight(const Format& format, dim rows, dim cols, std::span<const std::byte> encoded) {
  const IntGroupParams p = int_group_params(format, cols);
  const dim words = packed_words(cols, p.bits), bytes = row_bytes(format, cols);
  const std::uint32_t offset = p.symmetric ? 1u << (p.bits - 1) : 0, mask = (1u << p.bits) - 1;
  PackedWeight out;
  out.shape[0] = rows;
  out.shape[1] = cols;
  out.packed.resize(std::size_t(rows * words));
  out.scale.resize(std::size_t(rows * p.groups));
  if (!p.symmetric) out.zero.resize(std::size_t(packed_words(rows, p.bits) * p.groups));
  std::vector<std::uint8_t> zeros(p.symmetric ? 0 : out.scale.size());
  parallel_ranges(rows, 16, [&](dim begin, dim end) {
    std::vector<std::int8_t> codes(static_cast<std::size_t>(p.group));
    for (dim r = begin; r < end; ++r)
      for (dim g = 0; g < p.groups; ++g) {
        const auto scale = unpack_int_group(p, encoded.data() + r * bytes + g * p.group_bytes, codes.data());
        out.scale[std::size_t(r * p.groups + g)] = scale.scale_bits;
        if (!p.symmetric) zeros[std::size_t(r * p.groups + g)] = std::uint8_t(scale.zero);
        for (dim i = 0; i < p.group; ++i)
          put_bits(out.packed.data() + r * words, 1, g * p.group + i, p.bits,
                   (static_cast<std::uint32_t>(codes[std::size_t(i)]) + offset) & mask);
      }
  });
  for (dim g = 0; g < p.groups && !p.symmetric; ++g)
    for (dim r = 0; r < rows; ++r)
      put_bits(out.zero.data() + g, p.groups, r, p.bits, zeros[std::size_t(r * p.groups + g)]);
  return out;
}

nlohmann::json quantization_config(std::span<const LinearModule> modules) {
  std::map<std::string_view, std::pair<const Format*, std::vector<std::string>>> groups;  // by format
  auto ignore = nlohmann::json::array();
  for (const LinearModule& m : modules) {
    if (!m.format) {
      ignore.push_back(m.name);
      continue;
    }
    auto& group = groups[m.format->name];
    group.first = m.format;
    group.second.push_back(m.name);
  }
  if (groups.empty()) return nullptr;
  nlohmann::json config_groups;
  for (const auto& [name, group] : groups) {
    nlohmann::json entry = group_of(*group.first);
    entry["targets"] = groups.size() == 1 ? nlohmann::json::array({"Linear"}) : nlohmann::json(group.second);
    config_groups["group_" + std::to_string(config_groups.size())] = std::move(entry);
  }
  return {{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"},
          {"quantization_status", "compressed"},  {"config_groups", std::move(config_groups)},
          {"ignore", std::move(ignore)},          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

}  // namespace pith
