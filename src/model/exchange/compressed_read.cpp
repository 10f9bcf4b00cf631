// Reading compressed-tensors: "pack-quantized" (compressed_tensors.cpp has the layout), and "int-quantized" or
// "naive-quantized", which hold weight i8 (rows, cols), weight_scale, and perhaps weight_zero_point i8, as they are.
// "float-quantized" is FP8 (fp8.cpp). A zero point or a scale per tensor is repeated for its rows; weight_g_idx i32
// (cols) puts columns in other groups.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/printable.h"
#include "model/exchange/grid_layer.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr std::string_view kPacked = ".weight_packed", kScale = ".weight_scale";
constexpr dim kMostSize = dim(1) << 31;

enum class Strategy { group, channel, tensor };

// One of config_groups.
struct Scheme {
  std::vector<std::string> targets;
  bool packed = true;
  bool fp8 = false;
  Fp8Block block;  // of FP8 in blocks
  int bits = 0;
  Strategy strategy = Strategy::channel;
  dim group = 0;
  bool symmetric = true;
};

Error unlike(const JsonKeys& keys, std::string_view key, std::string_view expected, const std::string& got) {
  return Error(Blame::input, keys.where,
               fmt::format("{}{}: expected {}, got {}", keys.prefix, key, expected, printable(got)),
               "start from the model in full precision");
}

bool is_packed_format(const JsonKeys& keys, const std::string& format) {
  if (format == "pack-quantized") return true;
  if (format == "int-quantized" || format == "naive-quantized" || format == "float-quantized") return false;
  throw unlike(keys, "format", "pack-quantized, int-quantized, naive-quantized or float-quantized", format);
}

// block_structure: [128, 128], where the strategy is block.
Fp8Block block_of(const JsonKeys& weights) {
  const auto at = weights.object.find("block_structure");
  if (weights.text_or("strategy", "") != "block" || at == weights.object.end()) return {};
  const auto good = [](const nlohmann::json& n) { return n.is_number_integer() && n >= 1 && n <= dim(1) << 20; };
  if (!at->is_array() || at->size() != 2 || !good((*at)[0]) || !good((*at)[1]))
    throw unlike(weights, "block_structure", "two sizes", at->dump());
  return {(*at)[0].get<dim>(), (*at)[1].get<dim>()};
}

Scheme scheme_of(const JsonKeys& keys, const JsonKeys& weights, const std::string& format) {
  Scheme s;
  s.packed = is_packed_format(keys, keys.text_or("format", format));
  const std::string type = weights.text_or("type", ""), strategy = weights.text_or("strategy", "");
  s.bits = int(weights.size("num_bits", 32));
  s.fp8 = type == "float" && s.bits == 8 && !s.packed;
  if (s.fp8) return s.block = block_of(weights), s;
  if (type != "int") throw unlike(weights, "type", s.packed ? "int" : "int, or float of 8 bits", type);
  const bool known = s.packed ? s.bits >= 2 && s.bits <= 8 : s.bits == 8;
  if (!known) throw unlike(weights, "num_bits", s.packed ? "2 to 8" : "8", std::to_string(s.bits));
  s.symmetric = weights.flag_or("symmetric", true);
  if (strategy == "group") {
    s.strategy = Strategy::group;
    s.group = weights.size("group_size", dim(1) << 20);
  } else if (strategy == "tensor") {
    s.strategy = Strategy::tensor;
  } else if (strategy != "channel") {
    throw unlike(weights, "strategy", "group, channel or tensor", strategy);
  }
  return s;
}

// How inputs are rounded, as ActSpec reads it; empty where that is not known here.
std::string activations_of(const JsonKeys& inputs) {
  const std::string type = inputs.text_or("type", ""), strategy = inputs.text_or("strategy", "");
  const auto dynamic = inputs.object.find("dynamic");
  const bool each_token = dynamic != inputs.object.end() && dynamic->is_boolean() && dynamic->get<bool>();
  const bool known = inputs.size("num_bits", 32) == 8 && inputs.flag_or("symmetric", true) &&
                     (type == "int" || type == "float") && strategy == (each_token ? "token" : "tensor");
  if (!known) return {};
  return (type == "int" ? std::string("int8") : std::string("fp8")) + (each_token ? "" : ":scale=static");
}

void take_activations(const JsonKeys& group, Unpacked& out) {
  const auto* inputs = group.object_or_null("input_activations");
  if (!inputs) return;
  const std::string found = activations_of({*inputs, group.where, group.prefix + "input_activations."});
  if (found.empty() || (!out.activations.empty() && out.activations != found))
    out.note(std::string(kActivationsNote));
  else
    out.activations = found;
}

std::vector<Scheme> schemes_of(const JsonKeys& keys, Unpacked& out) {
  const std::string format = keys.text_or("format", "");
  const auto* groups = keys.object_or_null("config_groups");
  if (!groups || groups->empty())
    throw input_error(keys.where, "expected key {}config_groups, it is missing or empty", keys.prefix);
  std::vector<Scheme> schemes;
  for (const auto& [name, value] : groups->items()) {
    const JsonKeys group{value, keys.where, fmt::format("{}config_groups.{}.", keys.prefix, printable(name))};
    const auto* weights = group.object_or_null("weights");
    if (!weights) throw input_error(keys.where, "expected key {}weights, it is missing", group.prefix);
    schemes.push_back(scheme_of(group, {*weights, keys.where, group.prefix + "weights."}, format));
    if (value.contains("targets") && value["targets"].is_array())
      for (const auto& target : value["targets"])
        if (target.is_string()) schemes.back().targets.push_back(target.get<std::string>());
    take_activations(group, out);
  }
  return schemes;
}

struct Size {
  dim rows, cols;
};

// Words of `codes` codes: one dense stream, or, as older writers had it, whole codes in each word.
dim loose_words(dim codes, int bits) { return (codes + 32 / bits - 1) / (32 / bits); }

class Layer {
 public:
  Layer(const SafetensorsSet& files, std::string base, const Scheme& scheme)
      : files_(files), base_(std::move(base)), scheme_(scheme) {
    const SafeTensor& stored = companion(files, base_, scheme.packed ? kPacked : ".weight");
    weight_ = files.data(stored);
    if (scheme.packed)
      take_packed_size(stored);
    else
      take_plain_size(stored);
    take_scales();
    take_zeros();
    take_order();
  }

  ModelTensor read(Unpacked& out) const {
    GridLayer layer;
    layer.name = base_ + ".weight";
    layer.rows = size_.rows;
    layer.cols = size_.cols;
    layer.by_row = scheme_.strategy != Strategy::group;
    layer.grid = {zeros_.empty() ? GridKind::symmetric : GridKind::zero_point, scheme_.bits, group_};
    layer.wide = scale_->dtype != "F16";
    layer.group_of_col = group_of_col_;
    layer.codes = [this](dim begin, dim end, std::uint8_t* codes) { unpack(begin, end, codes); };
    layer.group = [this](dim r, dim g) {
      const dim at = scheme_.strategy == Strategy::tensor ? 0 : r * groups_ + g;
      const int half = 1 << (scheme_.bits - 1);
      return GridLayer::Group{float_at(files_, *scale_, at), 0, zeros_.empty() ? half : int(zeros_[std::size_t(at)])};
    };
    return to_tensor(layer, out);
  }

 private:
  void take_packed_size(const SafeTensor& stored) {
    const SafeTensor& shape = companion(files_, base_, ".weight_shape");
    expect_shape(shape, "I64", {2});
    size_ = {load_at<dim>(files_.data(shape), 0), load_at<dim>(files_.data(shape), 1)};
    if (size_.rows < 1 || size_.cols < 1 || size_.rows > kMostSize || size_.cols > kMostSize)
      throw input_error(printable(shape.name), "expected sizes from 1 to 2^31, got {} x {}", size_.rows, size_.cols);
    words_ = packed_words(size_.cols, scheme_.bits);
    loose_ = stored.shape.size() == 2 && stored.shape[1] != words_ &&
             stored.shape[1] == loose_words(size_.cols, scheme_.bits);
    if (loose_) words_ = loose_words(size_.cols, scheme_.bits);
    expect_shape(stored, "I32", {size_.rows, words_});
  }

  void take_plain_size(const SafeTensor& stored) {
    expect_matrix(stored, "I8");
    size_ = {stored.shape[0], stored.shape[1]};
  }

  void take_scales() {
    group_ = scheme_.strategy == Strategy::group ? std::min(scheme_.group, size_.cols) : size_.cols;
    groups_ = (size_.cols + group_ - 1) / group_;
    scale_ = &companion(files_, base_, kScale);
    expect_float(*scale_, scale_shape());
  }

  std::vector<dim> scale_shape() const {
    if (scheme_.strategy == Strategy::tensor) return {1};
    return {size_.rows, groups_};
  }

  void take_zeros() {
    if (scheme_.symmetric) return;
    const SafeTensor& zero = companion(files_, base_, ".weight_zero_point");
    const std::byte* data = files_.data(zero);
    if (!scheme_.packed || scheme_.strategy == Strategy::tensor) {  // signed, as the codes are
      expect_shape(zero, "I8", scale_shape());
      for (dim i = 0; i < zero.size_bytes; ++i)
        zeros_.push_back(std::uint8_t(load_at<std::int8_t>(data, i) + (1 << (scheme_.bits - 1))));
      return;
    }
    const int bits = scheme_.bits;
    const dim words = loose_ ? loose_words(size_.rows, bits) : packed_words(size_.rows, bits);
    expect_shape(zero, "I32", {words, groups_});
    zeros_.resize(std::size_t(size_.rows * groups_));
    for (dim r = 0; r < size_.rows; ++r)
      for (dim g = 0; g < groups_; ++g)
        zeros_[std::size_t(r * groups_ + g)] = std::uint8_t(code(data + g * 4, groups_, r));
  }

  void take_order() {
    const SafeTensor* order = files_.find(base_ + ".weight_g_idx");
    if (!order) return;
    expect_shape(*order, "I32", {size_.cols});
    bool in_order = true;
    for (dim c = 0; c < size_.cols; ++c) {
      const auto g = load_at<std::int32_t>(files_.data(*order), c);
      if (g < 0 || g >= groups_)
        throw input_error(printable(order->name), "expected groups 0 to {}, found {}", groups_ - 1, g);
      in_order &= g == c / group_;
      group_of_col_.push_back(g);
    }
    if (in_order) group_of_col_.clear();
  }

  std::uint32_t code(const std::byte* words, dim stride, dim i) const {
    if (!loose_) return get_bits(words, stride, i, scheme_.bits);
    const dim in_word = 32 / scheme_.bits;
    return load_at<std::uint32_t>(words, i / in_word * stride) >> (i % in_word * scheme_.bits) &
           ((1u << scheme_.bits) - 1);
  }

  void unpack(dim begin, dim end, std::uint8_t* codes) const {
    for (dim r = begin; r < end; ++r)
      for (dim c = 0; c < size_.cols; ++c)
        *codes++ = scheme_.packed ? std::uint8_t(code(weight_ + r * words_ * 4, 1, c))
                                  : std::uint8_t(std::uint8_t(weight_[r * size_.cols + c]) ^ 0x80u);
  }

  const SafetensorsSet& files_;
  std::string base_;
  const Scheme& scheme_;
  const std::byte* weight_ = nullptr;
  Size size_{};
  dim words_ = 0, group_ = 0, groups_ = 0;
  bool loose_ = false;
  const SafeTensor* scale_ = nullptr;
  std::vector<std::uint8_t> zeros_;  // as unsigned codes; of each (row, group), or one
  std::vector<std::int32_t> group_of_col_;
};

// Whether the stored shapes can be of this scheme.
bool plausible(const SafetensorsSet& files, const std::string& base, const Scheme& s) {
  const SafeTensor* packed = files.find(base + std::string(kPacked));
  const SafeTensor* plain = files.find(base + ".weight");
  if (s.fp8 || (plain && plain->dtype == "F8_E4M3")) return s.fp8 && plain && plain->dtype == "F8_E4M3";
  if (s.packed != (packed != nullptr)) return false;
  if (s.symmetric != (files.find(base + ".weight_zero_point") == nullptr)) return false;
  try {
    (void)Layer(files, base, s);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Targets may be patterns; what they do not name outright, the shapes tell.
const Scheme& scheme_for(const SafetensorsSet& files, const std::string& base, const std::vector<Scheme>& schemes) {
  if (schemes.size() == 1) return schemes[0];
  for (const Scheme& s : schemes)
    if (std::find(s.targets.begin(), s.targets.end(), base) != s.targets.end()) return s;
  for (const Scheme& s : schemes)
    if (plausible(files, base, s)) return s;
  throw input_error("config.json", "expected one of quantization_config.config_groups to describe {}, none does",
                    printable(base));
}

}  // namespace

void unpack_compressed_tensors(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out) {
  const std::vector<Scheme> schemes = schemes_of(quantization, out);
  for (const SafeTensor& t : files.tensors()) {
    const bool packed = std::string_view(t.name).ends_with(kPacked);
    const bool plain = (t.dtype == "I8" || t.dtype == "F8_E4M3") && std::string_view(t.name).ends_with(".weight");
    if (!packed && !plain) continue;
    const std::string base = module_of(t, packed ? kPacked : ".weight");
    const Scheme& scheme = scheme_for(files, base, schemes);
    out.tensors.push_back(scheme.fp8 ? read_fp8(files, t, companion(files, base, kScale), scheme.block, out)
                                     : Layer(files, base, scheme).read(out));
    if (const SafeTensor* scale = files.find(base + ".input_scale")) {
      expect_float(*scale, scale->shape.empty() ? std::vector<dim>{} : std::vector<dim>{1});
      out.act_scales[base + ".weight"] = float_at(files, *scale, 0);
    }
    for (const char* suffix : {".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx", ".input_scale"})
      out.done(files, base + suffix);
    out.done(files, t.name);
  }
}

}  // namespace pith
