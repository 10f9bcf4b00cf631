// AWQ checkpoints of version "gemm" (AutoAWQ): four bits, packed along the output features. Per linear layer
//   qweight i32 (cols, rows / 8), qzeros i32 (groups, rows / 8), scales f16 (groups, rows)
// where nibble i of a word, low first, is output feature 0, 2, 4, 6, 1, 3, 5, 7 of its eight.
// value = (code - zero) * scale.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/printable.h"
#include "model/exchange/grid_layer.h"
#include "model/exchange/grid_rows.h"
#include "model/exchange/layout.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr std::string_view kPacked = ".qweight";
constexpr int kBits = 4;
// Where output feature r % 8 is in its word, in bits.
constexpr int kShift[8] = {0, 16, 4, 20, 8, 24, 12, 28};

void expect(const JsonKeys& keys, bool good, std::string_view key, std::string_view expected, std::string_view got) {
  if (!good)
    throw Error(Blame::input, keys.where,
                fmt::format("{}{}: expected {}, got {}", keys.prefix, key, expected, printable(got)),
                "start from the model in full precision");
}

ModelTensor read(const SafetensorsSet& files, const SafeTensor& packed, bool by_row, Unpacked& out) {
  expect_matrix(packed, "I32");
  const std::string base = module_of(packed, kPacked);
  const dim cols = packed.shape[0], words = packed.shape[1], rows = words * 8;
  const SafeTensor& scales = companion(files, base, ".scales");
  const dim groups = scales.shape.size() == 2 ? scales.shape[0] : 0;
  if (groups < 1 || groups > cols || cols % groups != 0)
    throw input_error(printable(scales.name), "expected scales of a number of groups that divides {}, found {}", cols,
                      shape_text(scales.shape));
  expect_float(scales, {groups, rows});
  const SafeTensor& zeros = companion(files, base, ".qzeros");
  expect_shape(zeros, "I32", {groups, words});
  const std::byte *weight_at = files.data(packed), *zeros_at = files.data(zeros);

  const auto nibble = [words](const std::byte* matrix, dim line, dim r) {
    return int(load_at<std::uint32_t>(matrix, line * words + r / 8) >> kShift[r % 8] & 15);
  };
  GridLayer layer;
  layer.name = base + ".weight";
  layer.rows = rows;
  layer.cols = cols;
  layer.by_row = by_row;
  layer.grid = {GridKind::zero_point, kBits, cols / groups};
  layer.codes = [&](dim begin, dim end, std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c)
      for (dim r = begin; r < end; ++r) codes[(r - begin) * cols + c] = std::uint8_t(nibble(weight_at, c, r));
  };
  layer.group = [&](dim r, dim g) {
    return GridLayer::Group{float_at(files, scales, g * rows + r), 0, nibble(zeros_at, g, r)};
  };
  return to_tensor(layer, out);
}

std::string misfit(const Format& f, dim rows, dim cols) {
  if (f.int_group.bits != kBits || f.int_group.symmetric || f.int_group.minimum)
    return "int4_g128, int4_g64, int4_g32 or int4_row";
  if (!fits(f, cols)) return fmt::format("columns in multiples of {}", f.block);
  return rows % 8 == 0 ? "" : "rows in multiples of 8";
}

std::vector<SafeTensor> parts(std::string_view base, const Format& f, dim rows, dim cols) {
  const std::string name(base);
  const dim groups = cols / grid_of(f, cols).group;
  return {stored_part(name + ".qweight", "I32", {cols, rows / 8}),
          stored_part(name + ".qzeros", "I32", {groups, rows / 8}),
          stored_part(name + ".scales", "F16", {groups, rows})};
}

PackedParts pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  const dim words = rows / 8, groups = cols / grid_of(f, cols).group;
  PackedParts out;
  for (const SafeTensor& part : parts("", f, rows, cols)) out.emplace_back(std::size_t(part.size_bytes));
  auto* weight = numbers<std::uint32_t>(out[0]);
  auto* zero = numbers<std::uint32_t>(out[1]);
  auto* scale = numbers<std::uint16_t>(out[2]);
  for_grid_rows(f, rows, cols, encoded, 8, [&](dim r, const GridGroup* of_row, const std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c) weight[c * words + r / 8] |= std::uint32_t(codes[c]) << kShift[r % 8];
    for (dim g = 0; g < groups; ++g) {
      if (of_row[g].zero > 15) throw input_error("awq", "expected zero points below 16, got {}", of_row[g].zero);
      zero[g * words + r / 8] |= std::uint32_t(of_row[g].zero) << kShift[r % 8];
      scale[g * rows + r] = of_row[g].scale_bits;
    }
  });
  return out;
}

void describe(std::span<const LinearModule> modules, nlohmann::json& config) {
  const Format* format = nullptr;
  nlohmann::json dense = nullptr;
  for (const LinearModule& m : modules) {
    if (!m.format) {
      if (m.name != "lm_head") dense.push_back(m.name);
      continue;
    }
    if (format && format != m.format)
      throw input_error(m.name, "expected {} as in the layers before, since AWQ has one group size for all; got {}",
                        format->name, m.format->name);
    format = m.format;
  }
  PITH_CHECK(format);
  config["quantization_config"] = {{"quant_method", "awq"}, {"version", "gemm"},
                                   {"bits", kBits},         {"group_size", format->block == 0 ? -1 : format->block},
                                   {"zero_point", true},    {"modules_to_not_convert", std::move(dense)}};
}

}  // namespace

void unpack_awq(const JsonKeys& keys, const SafetensorsSet& files, Unpacked& out) {
  const std::string version = keys.text_or("version", "gemm");
  expect(keys, version == "gemm" || version == "GEMM", "version", "gemm", version);
  expect(keys, keys.size("bits", 8) == kBits, "bits", "4", std::to_string(keys.size("bits", 8)));
  const bool by_row = keys.group_size("group_size") == 0;
  for (const SafeTensor& t : files.tensors()) {
    if (!std::string_view(t.name).ends_with(kPacked)) continue;
    out.tensors.push_back(read(files, t, by_row, out));
    const std::string base = module_of(t, kPacked);
    for (const char* suffix : {".qweight", ".qzeros", ".scales"}) out.done(files, base + suffix);
  }
}

extern const Layout awq_layout;
const Layout awq_layout{.name = "awq", .misfit = misfit, .parts = parts, .pack = pack, .describe = describe};

}  // namespace pith
