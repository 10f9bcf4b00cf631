// MLX checkpoints of mode "affine": per layer, and for embeddings too,
//   X.weight u32 (rows, cols * bits / 32)  each row one stream of codes, low bits first
//   X.scales, X.biases (rows, groups)      in the model's own type
// value = code * scale + bias, where the scale may be negative.
#include <map>
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

constexpr std::string_view kScales = ".scales";

struct Settings {
  int bits = 0;
  dim group = 0;
};

Settings settings_of(const JsonKeys& keys, const std::string& module) {
  Settings common{int(keys.size("bits", 8)), keys.size("group_size", dim(1) << 20)};
  const auto own = keys.object.find(module);
  const bool overridden = own != keys.object.end() && own->is_object();
  const JsonKeys here{overridden ? *own : keys.object, keys.where,
                      overridden ? keys.prefix + printable(module) + "." : keys.prefix};
  const std::string mode = here.text_or("mode", "affine");
  if (mode != "affine")
    throw Error(Blame::input, keys.where, fmt::format("{}mode: expected affine, got {}", here.prefix, printable(mode)),
                "start from the model in full precision");
  return {int(here.size_or("bits", 8, common.bits)), here.size_or("group_size", dim(1) << 20, common.group)};
}

ModelTensor read(const SafetensorsSet& files, const SafeTensor& scales, const Settings& s, Unpacked& out) {
  const std::string base = module_of(scales, kScales);
  const SafeTensor& packed = companion(files, base, ".weight");
  expect_matrix(packed, "U32");
  const dim rows = packed.shape[0], words = packed.shape[1], cols = words * 32 / s.bits;
  if (cols * s.bits != words * 32 || cols % s.group != 0)
    throw input_error(printable(packed.name), "expected rows of whole groups of {} codes of {} bits, found {}", s.group,
                      s.bits, shape_text(packed.shape));
  const dim groups = cols / s.group;
  const SafeTensor& biases = companion(files, base, ".biases");
  expect_float(scales, {rows, groups});
  expect_float(biases, {rows, groups});
  const std::byte* stored = files.data(packed);

  GridLayer layer;
  layer.name = base + ".weight";
  layer.rows = rows;
  layer.cols = cols;
  layer.grid = {GridKind::minimum, s.bits, s.group};
  layer.wide = scales.dtype != "F16";
  layer.codes = [&](dim begin, dim end, std::uint8_t* codes) {
    for (dim r = begin; r < end; ++r)
      for (dim c = 0; c < cols; ++c)
        codes[(r - begin) * cols + c] = std::uint8_t(get_bits(stored + r * words * 4, 1, c, s.bits));
  };
  layer.group = [&](dim r, dim g) {
    return GridLayer::Group{float_at(files, scales, r * groups + g), float_at(files, biases, r * groups + g), 0};
  };
  return to_tensor(layer, out);
}

std::string misfit(const Format& f, dim, dim cols) {
  if (!f.int_group.minimum) return "an affine format such as affine4_g64";
  return fits(f, cols) ? "" : fmt::format("columns in multiples of {}", f.block);
}

std::vector<SafeTensor> parts(std::string_view base, const Format& f, dim rows, dim cols) {
  const std::string name(base);
  return {stored_part(name + ".weight", "U32", {rows, cols * f.int_group.bits / 32}),
          stored_part(name + ".scales", "F16", {rows, cols / f.block}),
          stored_part(name + ".biases", "F16", {rows, cols / f.block})};
}

PackedParts pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  const int bits = f.int_group.bits;
  const dim groups = cols / f.block, words = cols * bits / 32;
  PackedParts out;
  for (const SafeTensor& part : parts("", f, rows, cols)) out.emplace_back(std::size_t(part.size_bytes));
  auto* weight = numbers<std::uint32_t>(out[0]);
  auto* scale = numbers<std::uint16_t>(out[1]);
  auto* bias = numbers<std::uint16_t>(out[2]);
  for_grid_rows(f, rows, cols, encoded, 8, [&](dim r, const GridGroup* of_row, const std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c) put_bits(weight + r * words, 1, c, bits, codes[c]);
    for (dim g = 0; g < groups; ++g) {
      scale[r * groups + g] = of_row[g].scale_bits;
      bias[r * groups + g] = of_row[g].min_bits;
    }
  });
  return out;
}

nlohmann::json entry(const Format& f) {
  return {{"group_size", f.block}, {"bits", f.int_group.bits}, {"mode", "affine"}};
}

void describe(std::span<const LinearModule> modules, nlohmann::json& config) {
  std::map<std::string_view, std::pair<dim, const Format*>> used;
  for (const LinearModule& m : modules)
    if (m.format) used[m.format->name] = {used[m.format->name].first + 1, m.format};
  PITH_CHECK(!used.empty());
  const Format* most = std::max_element(used.begin(), used.end(), [](const auto& a, const auto& b) {
                         return a.second.first < b.second.first;
                       })->second.second;
  nlohmann::json quantization = entry(*most);
  for (const LinearModule& m : modules)
    if (m.format != most) quantization[m.name] = m.format ? entry(*m.format) : nlohmann::json(false);
  config["quantization"] = quantization;
  config["quantization_config"] = std::move(quantization);
}

}  // namespace

void unpack_mlx(const JsonKeys& keys, const SafetensorsSet& files, Unpacked& out) {
  for (const SafeTensor& t : files.tensors()) {
    if (!std::string_view(t.name).ends_with(kScales)) continue;
    const std::string base = module_of(t, kScales);
    out.tensors.push_back(read(files, t, settings_of(keys, base), out));
    for (const char* suffix : {".weight", ".scales", ".biases"}) out.done(files, base + suffix);
  }
}

extern const Layout mlx_layout;
const Layout mlx_layout{
    .name = "mlx", .embeddings = true, .misfit = misfit, .parts = parts, .pack = pack, .describe = describe};

}  // namespace pith
