// Writing linear layers as compressed-tensors' "pack-quantized" (vllm-project/compressed-tensors): what vLLM and
// transformers read. Per layer: weight_packed i32 (rows, ceil(cols * bits / 32)), each row one little-endian stream of
// codes, low bits first, signed codes with 2^(bits-1) added; weight_scale f16 (rows, groups); for asymmetric formats
// weight_zero_point i32 (ceil(rows * bits / 32), groups), the same stream down each column; weight_shape i64 (2).
// Beside inputs of 8 bits, 8 bits with a scale per row go out as "int-quantized": weight i8 (rows, cols), weight_scale
// f16 (rows, 1). FP8 with a scale per row goes out as "float-quantized": weight F8_E4M3 (rows, cols), weight_scale f32
// (rows, 1).
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/small_floats/fp8.h"
#include "model/exchange/grid_rows.h"
#include "model/exchange/layout.h"
#include "model/exchange/words.h"

namespace pith {

namespace {

bool is_fp8(const Format& f) { return f.name == "fp8_e4m3"; }
bool is_symmetric(const Format& f) { return f.int_group.symmetric; }
bool is_int8_row(const Format& f) { return f.int_group.bits == 8 && is_symmetric(f) && f.block == 0; }

std::string misfit(const Format& f, dim, dim cols) {
  if (is_fp8(f)) return {};
  if (f.int_group.bits == 0 || f.int_group.minimum) return "an int group format or fp8_e4m3";
  return fits(f, cols) ? "" : fmt::format("columns in multiples of {}", f.block);
}

std::vector<SafeTensor> parts(std::string_view base, const Format& f, dim rows, dim cols) {
  const std::string name(base);
  if (is_fp8(f))
    return {stored_part(name + ".weight", "F8_E4M3", {rows, cols}),
            stored_part(name + ".weight_scale", "F32", {rows, 1})};
  const Grid grid = grid_of(f, cols);
  const dim groups = cols / grid.group;
  std::vector<SafeTensor> out;
  out.push_back(stored_part(name + ".weight_packed", "I32", {rows, packed_words(cols, grid.bits)}));
  out.push_back(stored_part(name + ".weight_scale", "F16", {rows, groups}));
  if (!is_symmetric(f))
    out.push_back(stored_part(name + ".weight_zero_point", "I32", {packed_words(rows, grid.bits), groups}));
  out.push_back(stored_part(name + ".weight_shape", "I64", {2}));
  return out;
}

PackedParts pack_fp8(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  PackedParts out{std::vector<std::byte>(std::size_t(rows * cols)), std::vector<std::byte>(std::size_t(rows * 4))};
  const dim bytes = row_bytes(f, cols);
  for (dim r = 0; r < rows; ++r) {
    std::memcpy(out[1].data() + r * 4, encoded.data() + r * bytes, 4);
    std::memcpy(out[0].data() + r * cols, encoded.data() + r * bytes + kFp8ScaleBytes, std::size_t(cols));
  }
  return out;
}

PackedParts pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  if (is_fp8(f)) return pack_fp8(f, rows, cols, encoded);
  const Grid grid = grid_of(f, cols);
  const dim words = packed_words(cols, grid.bits), groups = cols / grid.group;
  PackedParts out;
  for (const SafeTensor& part : parts("", f, rows, cols)) out.emplace_back(std::size_t(part.size_bytes));
  auto* weight = numbers<std::uint32_t>(out[0]);
  auto* scale = numbers<std::uint16_t>(out[1]);
  auto* zero = is_symmetric(f) ? nullptr : numbers<std::uint32_t>(out[2]);
  for_grid_rows(f, rows, cols, encoded, 32, [&](dim r, const GridGroup* of_row, const std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c) put_bits(weight + r * words, 1, c, grid.bits, codes[c]);
    for (dim g = 0; g < groups; ++g) {
      scale[r * groups + g] = of_row[g].scale_bits;
      if (!zero) continue;
      if (of_row[g].zero >= 1 << grid.bits)
        throw input_error("compressed-tensors", "expected zero points below 2^{}, got {}", grid.bits, of_row[g].zero);
      put_bits(zero + g, groups, r, grid.bits, std::uint32_t(of_row[g].zero));
    }
  });
  const std::int64_t shape[2] = {rows, cols};
  std::memcpy(out.back().data(), shape, sizeof shape);
  return out;
}

std::vector<SafeTensor> a8_parts(std::string_view base, const Format& f, dim rows, dim cols) {
  if (!is_int8_row(f)) return parts(base, f, rows, cols);
  const std::string name(base);
  return {stored_part(name + ".weight", "I8", {rows, cols}), stored_part(name + ".weight_scale", "F16", {rows, 1})};
}

PackedParts a8_pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  if (!is_int8_row(f)) return pack(f, rows, cols, encoded);
  PackedParts out{std::vector<std::byte>(std::size_t(rows * cols)), std::vector<std::byte>(std::size_t(rows * 2))};
  for_grid_rows(f, rows, cols, encoded, 1, [&](dim r, const GridGroup* group, const std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c) out[0][std::size_t(r * cols + c)] = std::byte(codes[c] ^ 0x80u);
    numbers<std::uint16_t>(out[1])[r] = group->scale_bits;
  });
  return out;
}

// Null where inputs stay as they are.
nlohmann::json inputs_of(const ActPlan* act) {
  if (!act) return nullptr;
  return {{"num_bits", act->codes == ActPlan::Codes::e4m3 ? 8 : act->bits},
          {"type", act->codes == ActPlan::Codes::e4m3 ? "float" : "int"},
          {"symmetric", true},
          {"strategy", act->fixed ? "tensor" : "token"},
          {"dynamic", !act->fixed},
          {"group_size", nullptr},
          {"block_structure", nullptr},
          {"actorder", nullptr},
          {"observer", act->fixed ? nlohmann::json("minmax") : nlohmann::json(nullptr)}};
}

nlohmann::json group_of(const Format& f, const ActPlan* act) {
  const bool by_row = f.block == 0;
  nlohmann::json weights = {{"num_bits", is_fp8(f) ? 8 : f.int_group.bits},
                            {"type", is_fp8(f) ? "float" : "int"},
                            {"symmetric", is_fp8(f) || is_symmetric(f)},
                            {"strategy", by_row ? "channel" : "group"},
                            {"group_size", nullptr},
                            {"block_structure", nullptr},
                            {"dynamic", false},
                            {"actorder", nullptr},
                            {"observer", "minmax"}};
  if (!by_row) weights["group_size"] = f.block;
  const bool plain_codes = act && act->codes == ActPlan::Codes::integer && act->bits == 8 && is_int8_row(f);
  return {{"format", is_fp8(f)     ? "float-quantized"
                     : plain_codes ? "int-quantized"
                                   : "pack-quantized"},
          {"weights", std::move(weights)},
          {"input_activations", inputs_of(act)},
          {"output_activations", nullptr}};
}

void describe(std::span<const LinearModule> modules, nlohmann::json& config) {
  struct Group {
    const Format* format = nullptr;
    const ActPlan* act = nullptr;
    std::vector<std::string> names;
  };
  std::map<std::pair<std::string_view, bool>, Group> groups;  // by format, and whether inputs are rounded
  auto ignore = nlohmann::json::array();
  for (const LinearModule& m : modules) {
    if (!m.format) {
      ignore.push_back(m.name);
      continue;
    }
    Group& group = groups[{m.format->name, m.act != nullptr}];
    group.format = m.format;
    group.act = m.act;
    group.names.push_back(m.name);
  }
  nlohmann::json config_groups;
  std::string format;
  for (const auto& [key, group] : groups) {
    nlohmann::json entry = group_of(*group.format, group.act);
    entry["targets"] = groups.size() == 1 ? nlohmann::json::array({"Linear"}) : nlohmann::json(group.names);
    const auto own = entry["format"].get<std::string>();
    format = format.empty() || format == own ? own : "mixed-precision";
    config_groups["group_" + std::to_string(config_groups.size())] = std::move(entry);
  }
  config["quantization_config"] = {{"quant_method", "compressed-tensors"}, {"format", format},
                                   {"quantization_status", "compressed"},  {"config_groups", std::move(config_groups)},
                                   {"ignore", std::move(ignore)},          {"kv_cache_scheme", nullptr},
                                   {"global_compression_ratio", nullptr}};
}

}  // namespace

extern const Layout compressed_tensors_layout, compressed_tensors_a8_layout;
const Layout compressed_tensors_layout{
    .name = "compressed-tensors", .misfit = misfit, .parts = parts, .pack = pack, .describe = describe};
const Layout compressed_tensors_a8_layout{
    .name = "compressed-tensors", .misfit = misfit, .parts = a8_parts, .pack = a8_pack, .describe = describe};

}  // namespace pith
