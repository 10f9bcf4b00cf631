#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/half.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "io/printable.h"
#include "model/config_hf.h"
#include "model/export/compressed_tensors.h"
#include "model/export/packed_bits.h"
#include "model/json_keys.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr std::string_view kPacked = ".weight_packed";
constexpr dim kMostRows = dim(1) << 31;

void expect_text(const JsonKeys& keys, std::string_view key, std::string_view expected) {
  const std::string got = keys.text_or(key, "");
  if (got != expected)
    throw Error(Blame::input, keys.where,
                fmt::format("{}{}: expected {}, got {}", keys.prefix, key, expected, printable(got)),
                "start from the model in full precision");
}

// "int4_g128_sym"
std::string format_name(const JsonKeys& weights) {
  expect_text(weights, "type", "int");
  const std::string strategy = weights.text_or("strategy", "");
  std::string group = "row";
  if (strategy == "group")
    group = fmt::format("g{}", weights.size("group_size", dim(1) << 20));
  else if (strategy != "channel")
    throw input_error(weights.where, "{}strategy: expected group or channel, got {}", weights.prefix,
                      printable(strategy));
  const std::string name =
      fmt::format("int{}_{}{}", weights.size("num_bits", 32), group, weights.flag_or("symmetric", true) ? "_sym" : "");
  if (!find_format(name))
    throw input_error(weights.where,
                      "{}num_bits and group_size: expected 2 to 8 bits in groups of 32, 64 or 128, got {}",
                      weights.prefix, name);
  return name;
}

// Reads unaligned little-endian numbers.
template <class T>
T load_at(const std::byte* data, dim i) {
  T v;
  std::memcpy(&v, data + i * dim(sizeof v), sizeof v);
  return v;
}

std::uint32_t get_bits(const std::byte* words, dim stride, dim i, int bits) {
  const dim at = i * bits, word = at / 32;
  const int shift = int(at % 32);
  std::uint64_t pair = load_at<std::uint32_t>(words, word * stride);
  if (shift + bits > 32) pair |= std::uint64_t(load_at<std::uint32_t>(words, (word + 1) * stride)) << 32;
  return std::uint32_t(pair >> shift) & ((1u << bits) - 1);
}

const SafeTensor& companion(const SafetensorsSet& files, const std::string& base, std::string_view suffix) {
  const std::string name = base + std::string(suffix);
  const SafeTensor* t = files.find(name);
  if (!t) throw input_error(printable(base), "expected tensor {}, it is missing", printable(name));
  return *t;
}

void expect_shape(const SafeTensor& t, std::string_view dtype, const std::vector<dim>& shape) {
  if (t.dtype != dtype || t.shape != shape)
    throw input_error(printable(t.name), "expected {} {}, found {} {}", dtype, shape_text(shape), t.dtype,
                      shape_text(t.shape));
}

// float16 bits of each scale. Other types must hold float16 values, since the formats here store those.
std::vector<std::uint16_t> scales_of(const SafetensorsSet& files, const SafeTensor& t) {
  const std::byte* data = files.data(t);
  std::vector<std::uint16_t> out(std::size_t(t.size_bytes / (dtype_bits(t.dtype) / 8)));
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (t.dtype == "F16") {
      out[i] = load_at<std::uint16_t>(data, dim(i));
      continue;
    }
    const float scale =
        t.dtype == "BF16" ? bf16_to_f32(load_at<std::uint16_t>(data, dim(i))) : load_at<float>(data, dim(i));
    out[i] = f32_to_f16(scale);
    if (!(f16_to_f32(out[i]) == scale))
      throw Error(Blame::input, printable(t.name),
                  fmt::format("expected scales that float16 holds exactly, got {}", scale),
                  "start from the model in full precision");
  }
  return out;
}

struct Parts {
  IntGroupParams p;
  const std::byte* packed = nullptr;
  std::vector<std::uint16_t> scales;
  const std::byte* zeros = nullptr;
};

void repack(const Parts& in, dim rows, dim cols, dim bytes_per_row, std::byte* out) {
  const IntGroupParams& p = in.p;
  const dim words = packed_words(cols, p.bits);
  const int offset = p.symmetric ? 1 << (p.bits - 1) : 0;
  parallel_ranges(rows, 16, [&](dim begin, dim end) {
    std::vector<std::int8_t> codes(static_cast<std::size_t>(p.group));
    for (dim r = begin; r < end; ++r)
      for (dim g = 0; g < p.groups; ++g) {
        for (dim i = 0; i < p.group; ++i)
          codes[std::size_t(i)] =
              std::int8_t(int(get_bits(in.packed + r * words * 4, 1, g * p.group + i, p.bits)) - offset);
        const int zero = p.symmetric ? 0 : int(get_bits(in.zeros + g * 4, p.groups, r, p.bits));
        pack_int_group(p, {in.scales[std::size_t(r * p.groups + g)], zero}, codes.data(),
                       out + r * bytes_per_row + g * p.group_bytes);
      }
  });
}

}  // namespace

PackedReader::PackedReader(const nlohmann::json& config) {
  const JsonKeys keys{config, std::string(kConfigJson), "quantization_config."};
  expect_text(keys, "quant_method", "compressed-tensors");
  expect_text(keys, "format", "pack-quantized");
  const auto* groups = keys.object_or_null("config_groups");
  if (!groups || groups->empty())
    throw input_error(keys.where, "expected key quantization_config.config_groups, it is missing or empty");
  for (const auto& [name, value] : groups->items()) {
    const JsonKeys group{value, keys.where, fmt::format("quantization_config.config_groups.{}.", printable(name))};
    const auto* weights = group.object_or_null("weights");
    if (!weights) throw input_error(keys.where, "expected key {}weights, it is missing", group.prefix);
    Group read;
    read.format_name = format_name({*weights, keys.where, group.prefix + "weights."});
    if (value.contains("targets") && value["targets"].is_array())
      for (const auto& target : value["targets"])
        if (target.is_string()) read.targets.push_back(target.get<std::string>());
    groups_.push_back(std::move(read));
  }
}

bool PackedReader::is_companion(const SafetensorsSet& files, std::string_view name) {
  for (const std::string_view suffix : {".weight_scale", ".weight_zero_point", ".weight_shape"})
    if (name.ends_with(suffix))
      return files.find(std::string(name.substr(0, name.size() - suffix.size())) + std::string(kPacked)) != nullptr;
  return false;
}

const Format& PackedReader::format_of(const std::string& module) const {
  const Group* all = groups_.size() == 1 ? &groups_[0] : nullptr;
  for (const Group& group : groups_) {
    if (std::find(group.targets.begin(), group.targets.end(), module) != group.targets.end())
      return format_or_throw(group.format_name);
    if (std::find(group.targets.begin(), group.targets.end(), "Linear") != group.targets.end()) all = &group;
  }
  if (all) return format_or_throw(all->format_name);
  throw input_error(kConfigJson, "expected one of quantization_config.config_groups to name {}, none does",
                    printable(module));
}

ModelTensor PackedReader::read(const SafetensorsSet& files, const SafeTensor& packed) const {
  const std::string base = packed.name.substr(0, packed.name.size() - kPacked.size());
  const Format& format = format_of(base);
  if (files.find(base + ".weight_g_idx"))
    throw input_error(printable(base), "expected groups in the order of the columns, got weight_g_idx");
  const SafeTensor& shape = companion(files, base, ".weight_shape");
  expect_shape(shape, "I64", {2});
  const dim rows = load_at<dim>(files.data(shape), 0), cols = load_at<dim>(files.data(shape), 1);
  if (rows < 1 || cols < 1 || rows > kMostRows || cols > kMostRows || !fits(format, cols))
    throw input_error(printable(shape.name),
                      "expected sizes from 1 to 2^31 and columns in whole groups of {}, got {} x {}", format.name, rows,
                      cols);
  Parts parts;
  parts.p = int_group_params(format, cols);
  expect_shape(packed, "I32", {rows, packed_words(cols, parts.p.bits)});
  const SafeTensor& scale = companion(files, base, ".weight_scale");
  expect_shape(scale, scale.dtype == "BF16" || scale.dtype == "F32" ? scale.dtype : "F16", {rows, parts.p.groups});
  parts.packed = files.data(packed);
  parts.scales = scales_of(files, scale);
  if (!parts.p.symmetric) {
    const SafeTensor& zero = companion(files, base, ".weight_zero_point");
    expect_shape(zero, "I32", {packed_words(rows, parts.p.bits), parts.p.groups});
    parts.zeros = files.data(zero);
  }

  ModelTensor t;
  t.name = base + ".weight";
  t.shape = {rows, cols};
  t.weight.format = &format;
  t.weight.owned = Buffer(rows * row_bytes(format, cols));
  t.weight.data = t.weight.owned.data();
  set_shape(t);
  repack(parts, rows, cols, row_bytes(format, cols), t.weight.owned.data());
  return t;
}

}  // namespace pith
