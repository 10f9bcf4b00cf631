// FP8 layers, X.weight F8_E4M3 (rows, cols) and a scale that multiplies: one for the tensor, one a row, or one for each
// block of rows and columns. "fp8" (as Qwen and DeepSeek publish their models) calls it weight_scale_inv, others
// weight_scale.
#include "formats/small_floats/fp8.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "io/printable.h"
#include "model/exchange/checkpoint.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr dim kGroup = 128;

// One scale for each so many rows and columns.
struct Blocks {
  dim rows, cols;
  dim per_row = 1;  // scales in a row of them
};

Blocks blocks_of(const SafeTensor& scale, dim rows, dim cols, const Fp8Block& block) {
  const auto& shape = scale.shape;
  if (shape.empty() || shape == std::vector<dim>{1} || shape == std::vector<dim>{1, 1}) return {rows, cols, 1};
  if (shape == std::vector<dim>{rows} || shape == std::vector<dim>{rows, 1}) return {1, cols, 1};
  if (block.rows < 1 || block.cols < 1)
    throw input_error(printable(scale.name), "expected a scale for the tensor or one a row, found {}",
                      shape_text(shape));
  const dim across = (cols + block.cols - 1) / block.cols;
  expect_shape(scale, scale.dtype, {(rows + block.rows - 1) / block.rows, across});
  return {block.rows, block.cols, across};
}

}  // namespace

ModelTensor read_fp8(const SafetensorsSet& files, const SafeTensor& weight, const SafeTensor& scale,
                     const Fp8Block& block, Unpacked& out) {
  expect_matrix(weight, "F8_E4M3");
  expect_float(scale, scale.shape);
  const dim rows = weight.shape[0], cols = weight.shape[1];
  const Blocks blocks = blocks_of(scale, rows, cols, block);
  const bool by_row = blocks.cols >= cols;
  const bool exact = by_row || (blocks.cols % kGroup == 0 && cols % kGroup == 0);
  const Format& codes = format_or_throw(by_row || !exact ? "fp8_e4m3" : "fp8_e4m3_g128");
  const Format& format = exact ? codes : bf16_format();
  if (!exact)
    out.note(
        fmt::format("FP8 layers were decoded to bf16: blocks of {} columns have no format of their own", blocks.cols));

  ModelTensor t;
  t.name = weight.name;
  t.shape = weight.shape;
  t.weight.format = &format;
  t.weight.owned = Buffer(rows * row_bytes(format, cols));
  t.weight.data = t.weight.owned.data();
  set_shape(t);
  const dim group = exact ? (by_row ? cols : kGroup) : blocks.cols;
  parallel_ranges(rows, 16, [&](dim begin, dim end) {
    std::vector<std::byte> part(std::size_t(kFp8ScaleBytes + group));
    std::vector<float> values(exact ? 0 : static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      std::byte* to = t.weight.owned.data() + r * row_bytes(format, cols);
      for (dim c = 0; c < cols; c += group) {
        const dim n = std::min(group, cols - c);
        const float s = float_at(files, scale, r / blocks.rows * blocks.per_row + c / blocks.cols);
        std::byte* block_at = exact ? to + c / group * (kFp8ScaleBytes + group) : part.data();
        std::memcpy(block_at, &s, sizeof s);
        std::memcpy(block_at + kFp8ScaleBytes, files.data(weight) + r * cols + c, std::size_t(n));
        if (!exact) codes.decode(codes, block_at, n, values.data() + c);
      }
      if (!exact) format.encode(format, values.data(), nullptr, cols, RangeSearch{}, to);
    }
  });
  out.keep(t);
  return t;
}

void unpack_fp8(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out) {
  if (quantization.has("activation_scheme")) out.note(std::string(kActivationsNote));
  Fp8Block block;
  const auto size = quantization.object.find("weight_block_size");
  if (size != quantization.object.end() && !size->is_null()) {
    const auto good = [](const nlohmann::json& n) { return n.is_number_integer() && n >= 1 && n <= dim(1) << 20; };
    if (!size->is_array() || size->size() != 2 || !good((*size)[0]) || !good((*size)[1]))
      throw input_error(quantization.where, "{}weight_block_size: expected two sizes, got {}", quantization.prefix,
                        printable(size->dump()));
    block = {(*size)[0].get<dim>(), (*size)[1].get<dim>()};
  }
  for (const SafeTensor& t : files.tensors()) {
    if (t.dtype != "F8_E4M3" || !std::string_view(t.name).ends_with(".weight")) continue;
    const std::string base = module_of(t, ".weight");
    const bool inverse = files.find(base + ".weight_scale_inv") != nullptr;
    out.tensors.push_back(
        read_fp8(files, t, companion(files, base, inverse ? ".weight_scale_inv" : ".weight_scale"), block, out));
    for (const char* suffix : {".weight", ".weight_scale_inv", ".weight_scale", ".input_scale"})
      out.done(files, base + suffix);
  }
}

}  // namespace pith
