// pith's own folders: a layer's rows as any format encodes them, one after another,
//   W.encoded_rows u8 (rows, bytes of a row)
//   or, without its zeros, W.kept_columns, W.kept_scales, W.kept_values (export/parts.h)
//   W.outlier_columns, W.outlier_values: where values are kept apart (export/parts.h)
// config.json says under quantization_config.layers, for each module, its format's name, its columns; of turned
// matrices the seed of the rotations and whether outputs are turned, too; of those without zeros the layout and the
// number of values.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "formats/sparse_rows.h"
#include "io/printable.h"
#include "model/exchange/checkpoint.h"
#include "model/exchange/layout.h"
#include "model/export/parts.h"
#include "model/model_impl.h"
#include "model/open/outliers.h"

namespace pith {

namespace {

constexpr std::string_view kRows = ".encoded_rows";
constexpr dim kMostSize = dim(1) << 31;
constexpr const char *kBitmask = "bitmask", *kTwoOfFour = "two_of_four";

std::string misfit(const Format& f, dim, dim cols) {
  return fits(f, cols) ? "" : fmt::format("columns in multiples of {}", f.block);
}

std::vector<SafeTensor> parts(std::string_view base, const Format& f, dim rows, dim cols) {
  return {stored_part(std::string(base) + std::string(kRows), "U8", {rows, row_bytes(f, cols)})};
}

PackedParts pack(const Format&, dim, dim, std::span<const std::byte> encoded) {
  return {{encoded.begin(), encoded.end()}};
}

void describe(std::span<const LinearModule> modules, nlohmann::json& config) {
  nlohmann::json layers = nlohmann::json::object();
  for (const LinearModule& m : modules)
    if (m.format) {
      auto& layer = layers[m.name] = {{"format", m.format->name}, {"columns", m.cols}};
      if (m.sparse)
        layer["sparse"] = {{"layout", m.sparse->layout == SparseLayout::bitmask ? kBitmask : kTwoOfFour},
                           {"kept", m.sparse->kept}};
      if (m.turn) layer["turned"] = {{"seed", m.turn->seed()}, {"outputs", m.turn->outputs()}};
    }
  config["quantization_config"] = {{"quant_method", "pith"}, {"layers", std::move(layers)}};
}

StoredTable table_of(const SafetensorsSet& files, const SafeTensor& t, std::string_view dtype) {
  return {t.name, t.dtype == dtype, t.shape, files.data(t)};
}

void read_outliers(const SafetensorsSet& files, const std::string& base, ModelTensor& t, Unpacked& out) {
  const SafeTensor* columns = files.find(base + std::string(kOutlierColumns));
  const SafeTensor* values = files.find(base + std::string(kOutlierValues));
  if (!columns && !values) return;
  if (!columns || !values)
    throw input_error(printable(base), "expected both {} and {}, one is missing", kOutlierColumns, kOutlierValues);
  attach_outliers(table_of(files, *columns, index_bytes(t.weight.cols) == 2 ? "I16" : "I32"),
                  table_of(files, *values, "F16"), t);
  out.used.insert(columns->name);
  out.used.insert(values->name);
}

void read_turn(const JsonKeys& keys, ModelTensor& t) {
  const auto* turned = keys.object_or_null("turned");
  if (!turned) return;
  const JsonKeys inner{*turned, keys.where, keys.prefix + "turned."};
  const bool outputs = inner.flag_or("outputs", false);
  if (!Turn::can_turn(t.weight.cols) || (outputs && !Turn::can_turn(t.weight.rows)) || t.outliers)
    throw input_error(keys.where, "{}turned: expected a matrix of sizes that can be turned, without outliers, got {}",
                      keys.prefix, shape_text(t.shape));
  t.turn = std::make_shared<Turn>(std::uint64_t(inner.size("seed", kMostSize)), outputs, t.weight.rows, t.weight.cols);
}

ModelTensor read_sparse(const SafetensorsSet& files, const std::string& base, const JsonKeys& keys, const Format& f,
                        dim cols, Unpacked& out) {
  const JsonKeys inner{*keys.object_or_null("sparse"), keys.where, keys.prefix + "sparse."};
  const std::string layout = inner.text_or("layout", "");
  if (layout != kBitmask && layout != kTwoOfFour)
    throw input_error(keys.where, "{}layout: expected {} or {}, got '{}'", inner.prefix, kBitmask, kTwoOfFour,
                      printable(layout));
  SparseShape shape{layout == kBitmask ? SparseLayout::bitmask : SparseLayout::two_of_four,
                    inner.size("kept", kMostSize * kMostSize)};
  const std::string expected = sparse_misfit(shape.layout, f, cols);
  if (!expected.empty()) throw input_error(keys.where, "{}format: expected {}, got {}", keys.prefix, expected, f.name);
  const SafeTensor& positions = companion(files, base, kSparsePositions);
  const dim rows = positions.shape.size() == 2 ? positions.shape[0] : 0;
  if (rows < 1 || rows > kMostSize || shape.kept > rows * cols)
    throw input_error(printable(positions.name), "expected shape [rows, {}] and at most rows x {} values, found {}",
                      (cols + 7) / 8, cols, shape_text(positions.shape));
  const SparseSizes sizes = sparse_sizes(shape, f, rows, cols);
  const SafeTensor& values = companion(files, base, kSparseValues);
  const SafeTensor* scales = sizes.scales > 0 ? &companion(files, base, kSparseScales) : nullptr;
  expect_shape(positions, "U8", {rows, (cols + 7) / 8});
  expect_shape(values, "U8", {sizes.values});
  if (scales) expect_shape(*scales, "U8", {rows, sizes.scales / rows});
  ModelTensor t;
  t.name = base + ".weight";
  t.shape = {rows, cols};
  t.weight.format = &f;
  t.sparse = sparse_view(shape, f, rows, cols, files.data(positions), scales ? files.data(*scales) : nullptr,
                         files.data(values), printable(base));
  set_shape(t);
  for (const SafeTensor* part : {&positions, &values, scales})
    if (part) out.used.insert(part->name);
  return t;
}

ModelTensor read(const SafetensorsSet& files, const std::string& base, const JsonKeys& keys, Unpacked& out) {
  const Format* f = find_format(keys.text_or("format", ""));
  if (!f)
    throw input_error(keys.where, "{}format: expected a format that `pith formats` lists, got '{}'", keys.prefix,
                      printable(keys.text_or("format", "")));
  const dim cols = keys.size("columns", kMostSize);
  if (!fits(*f, cols))
    throw input_error(keys.where, "{}columns: expected a multiple of {} for {}, got {}", keys.prefix, f->block, f->name,
                      cols);
  if (keys.object_or_null("sparse")) return read_sparse(files, base, keys, *f, cols, out);
  const SafeTensor& stored = companion(files, base, kRows);
  const dim rows = stored.shape.size() == 2 ? stored.shape[0] : 0;
  if (rows < 1 || rows > kMostSize)
    throw input_error(printable(stored.name), "expected shape [rows, {}], found {}", row_bytes(*f, cols),
                      shape_text(stored.shape));
  expect_shape(stored, "U8", {rows, row_bytes(*f, cols)});
  ModelTensor t;
  t.name = base + ".weight";
  t.shape = {rows, cols};
  t.weight.format = f;
  t.weight.data = files.data(stored);  // no copy: the rows are as the forward pass reads them
  set_shape(t);
  out.used.insert(stored.name);
  read_outliers(files, base, t, out);
  read_turn(keys, t);
  return t;
}

}  // namespace

void unpack_pith_rows(const JsonKeys& keys, const SafetensorsSet& files, Unpacked& out) {
  const auto* layers = keys.object_or_null("layers");
  if (!layers) throw input_error(keys.where, "{}layers: expected an object, it is missing", keys.prefix);
  for (const auto& [module, layer] : layers->items()) {
    const std::string prefix = keys.prefix + "layers." + printable(module) + ".";
    if (!layer.is_object()) throw input_error(keys.where, "{}: expected an object, got {}", prefix, layer.type_name());
    out.tensors.push_back(read(files, module, {layer, keys.where, prefix}, out));
  }
}

extern const Layout pith_layout;
const Layout pith_layout{
    .name = "pith", .embeddings = true, .misfit = misfit, .parts = parts, .pack = pack, .describe = describe};

}  // namespace pith
