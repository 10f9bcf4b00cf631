// bitsandbytes checkpoints. NF4: a layer's values as one run in blocks of 64 (or more),
//   W.weight u8 (values / 2, 1)      codes of NormalFloat, the first of a pair in the high nibble
//   W.weight.absmax f32 (blocks)     or u8, then absmax = nested_quant_map[u8] * nested_absmax[block / 256] + offset
//   W.weight.quant_map f32 (16), W.weight.quant_state.bitsandbytes__nf4 u8: JSON with the shape and block size
// value = quant_map[code] * absmax. LLM.int8: W.weight i8 (rows, cols), W.SCB f32 (rows); value = code * SCB / 127.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/levels/nf4.h"
#include "io/json.h"
#include "io/printable.h"
#include "model/exchange/grid_layer.h"
#include "model/exchange/layout.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr std::string_view kState = ".quant_state.bitsandbytes__nf4", kFp4State = ".quant_state.bitsandbytes__fp4";
constexpr dim kMostSize = dim(1) << 31;
const Format& nf4_format() { return format_or_throw("nf4_b64"); }

std::string nf4_misfit(const Format& f, dim, dim cols) {
  if (&f != &nf4_format()) return "nf4_b64";
  return fits(f, cols) ? "" : fmt::format("columns in multiples of {}", f.block);
}

std::string state_text(dim rows, dim cols) {
  const nlohmann::ordered_json state = {
      {"quant_type", "nf4"}, {"blocksize", kNf4Block}, {"dtype", "float16"}, {"shape", {rows, cols}}};
  return state.dump();
}

std::vector<SafeTensor> nf4_parts(std::string_view base, const Format&, dim rows, dim cols) {
  const std::string weight = std::string(base) + ".weight";
  const dim values = rows * cols;
  return {stored_part(weight, "U8", {values / 2, 1}), stored_part(weight + ".absmax", "F32", {values / kNf4Block}),
          stored_part(weight + ".quant_map", "F32", {16}),
          stored_part(weight + std::string(kState), "U8", {dim(state_text(rows, cols).size())})};
}

PackedParts nf4_pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  PackedParts out;
  for (const SafeTensor& part : nf4_parts("", f, rows, cols)) out.emplace_back(std::size_t(part.size_bytes));
  const dim blocks = rows * cols / kNf4Block, code_bytes = kNf4Block / 2;
  for (dim b = 0; b < blocks; ++b) {
    const std::byte* block = encoded.data() + b * f.block_bytes;
    std::memcpy(out[1].data() + b * 4, block, 4);
    std::memcpy(out[0].data() + b * code_bytes, block + 4, std::size_t(code_bytes));
  }
  std::memcpy(out[2].data(), kNf4Table, sizeof kNf4Table);
  const std::string state = state_text(rows, cols);
  std::memcpy(out[3].data(), state.data(), state.size());
  return out;
}

void nf4_describe(std::span<const LinearModule> modules, nlohmann::json& config) {
  auto dense = nlohmann::json::array();
  for (const LinearModule& m : modules)
    if (!m.format) dense.push_back(m.name);
  config["quantization_config"] = {{"quant_method", "bitsandbytes"},
                                   {"load_in_4bit", true},
                                   {"load_in_8bit", false},
                                   {"bnb_4bit_quant_type", "nf4"},
                                   {"bnb_4bit_use_double_quant", false},
                                   {"bnb_4bit_compute_dtype", config.value("torch_dtype", "float16")},
                                   {"bnb_4bit_quant_storage", "uint8"},
                                   {"llm_int8_skip_modules", std::move(dense)}};
}

// The absolute maxima of all blocks.
std::vector<float> absmax_of(const SafetensorsSet& files, const std::string& weight, const JsonKeys& state,
                             dim blocks) {
  const SafeTensor& absmax = companion(files, weight, ".absmax");
  std::vector<float> out(static_cast<std::size_t>(blocks));
  if (absmax.dtype == "F32") {
    expect_shape(absmax, "F32", {blocks});
    for (dim b = 0; b < blocks; ++b) out[std::size_t(b)] = float_at(files, absmax, b);
    return out;
  }
  expect_shape(absmax, "U8", {blocks});
  const dim group = state.size("nested_blocksize", dim(1) << 20);
  const SafeTensor &nested = companion(files, weight, ".nested_absmax"),
                   &map = companion(files, weight, ".nested_quant_map");
  expect_shape(nested, "F32", {(blocks + group - 1) / group});
  expect_shape(map, "F32", {256});
  const auto offset = float(state.number("nested_offset"));
  for (dim b = 0; b < blocks; ++b) {
    const auto code = std::uint8_t(files.data(absmax)[b]);
    out[std::size_t(b)] = float_at(files, map, code) * float_at(files, nested, b / group) + offset;
  }
  return out;
}

struct Shape {
  dim rows, cols;
};
Shape shape_of(const JsonKeys& state) {
  const auto at = state.object.find("shape");
  const auto good = [](const nlohmann::json& n) {
    return n.is_number_integer() && n.get<std::int64_t>() >= 1 && n.get<std::int64_t>() <= kMostSize;
  };
  if (at == state.object.end() || !at->is_array() || at->size() != 2 || !good((*at)[0]) || !good((*at)[1]))
    throw input_error(state.where, "shape: expected two sizes from 1 to 2^31");
  return {(*at)[0].get<dim>(), (*at)[1].get<dim>()};
}

void expect_map(const SafetensorsSet& files, const SafeTensor& map) {
  expect_shape(map, "F32", {16});
  for (dim i = 0; i < 16; ++i)
    if (float_at(files, map, i) != kNf4Table[i])
      throw input_error(printable(map.name), "expected the 16 values of NF4, found {} at {}", float_at(files, map, i),
                        i);
}

ModelTensor read_nf4(const SafetensorsSet& files, const SafeTensor& stored_state, Unpacked& out) {
  const std::string weight = module_of(stored_state, kState);
  const std::string_view text(reinterpret_cast<const char*>(files.data(stored_state)),
                              std::size_t(stored_state.size_bytes));
  const auto json = parse_json(text, printable(stored_state.name));
  const JsonKeys state{json, printable(stored_state.name), ""};
  const auto [rows, cols] = shape_of(state);
  const dim block = state.size("blocksize", dim(1) << 20);
  if (block % kNf4Block != 0 || cols % kNf4Block != 0)
    throw input_error(printable(weight), "expected columns and a block size in multiples of {}, got {} and {}",
                      kNf4Block, cols, block);
  const SafeTensor& packed = companion(files, weight, "");
  expect_shape(packed, "U8", {rows * cols / 2, 1});
  expect_map(files, companion(files, weight, ".quant_map"));
  const std::vector<float> absmax = absmax_of(files, weight, state, (rows * cols + block - 1) / block);

  const Format& f = nf4_format();
  ModelTensor t;
  t.name = weight;
  t.shape = {rows, cols};
  t.weight.format = &f;
  t.weight.owned = Buffer(rows * row_bytes(f, cols));
  t.weight.data = t.weight.owned.data();
  set_shape(t);
  for (dim b = 0; b < rows * cols / kNf4Block; ++b) {
    std::byte* to = t.weight.owned.data() + b * f.block_bytes;
    std::memcpy(to, &absmax[std::size_t(b * kNf4Block / block)], 4);
    std::memcpy(to + 4, files.data(packed) + b * (kNf4Block / 2), kNf4Block / 2);
  }
  out.keep(t);
  for (const char* suffix : {"", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"})
    out.done(files, weight + suffix);
  out.done(files, stored_state.name);
  return t;
}

ModelTensor read_int8(const SafetensorsSet& files, const SafeTensor& scales, Unpacked& out) {
  const std::string base = module_of(scales, ".SCB");
  const SafeTensor& stored = companion(files, base, ".weight");
  expect_matrix(stored, "I8");
  const dim rows = stored.shape[0], cols = stored.shape[1];
  expect_shape(scales, "F32", {rows});
  const std::byte* codes_at = files.data(stored);
  GridLayer layer;
  layer.name = stored.name;
  layer.rows = rows;
  layer.cols = cols;
  layer.by_row = true;
  layer.grid = {GridKind::symmetric, 8, cols};
  layer.codes = [&](dim begin, dim end, std::uint8_t* codes) {
    for (dim i = begin * cols; i < end * cols; ++i) *codes++ = std::uint8_t(std::uint8_t(codes_at[i]) ^ 0x80u);
  };
  layer.group = [&](dim r, dim) { return GridLayer::Group{float_at(files, scales, r) / 127, 0, 128}; };
  for (const char* suffix : {".weight", ".SCB", ".weight_format"}) out.done(files, base + suffix);
  return to_tensor(layer, out);
}

}  // namespace

void unpack_bitsandbytes(const JsonKeys&, const SafetensorsSet& files, Unpacked& out) {
  for (const SafeTensor& t : files.tensors()) {
    const std::string_view name = t.name;
    if (name.ends_with(kFp4State))
      throw Error(Blame::input, printable(t.name), "expected layers in NF4 or LLM.int8, got FP4",
                  "start from the model in full precision");
    if (name.ends_with(kState)) out.tensors.push_back(read_nf4(files, t, out));
    if (name.ends_with(".SCB")) out.tensors.push_back(read_int8(files, t, out));
  }
}

extern const Layout bitsandbytes_layout;
const Layout bitsandbytes_layout{
    .name = "bitsandbytes", .misfit = nf4_misfit, .parts = nf4_parts, .pack = nf4_pack, .describe = nf4_describe};

}  // namespace pith
