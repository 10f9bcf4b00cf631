// GPTQ checkpoints (AutoGPTQ, GPTQModel): per linear layer, groups of input features and codes of b bits,
//   qweight i32 (cols * b / 32, rows)    a stream of codes down each column, low bits first
//   qzeros  i32 (groups, rows * b / 32)  a stream of zero points along each row
//   scales  f16 (groups, rows),  g_idx i32 (cols): the group of each input feature
// value = (code - zero) * scale. "gptq" stores zero - 1, subtracted from whole words, so that a zero of 0 borrows from
// its neighbour; "gptq_v2" stores the zero itself.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "io/printable.h"
#include "model/exchange/grid_layer.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr std::string_view kPacked = ".qweight";

// What a writer had subtracted from words 0, 1, 2, 3, ... of a row of qzeros.
struct Convention {
  std::string_view name;
  std::uint32_t (*taken)(dim word, int bits);
};
std::uint32_t none(dim, int) { return 0; }
// One in each field. Three-bit fields cross the words: 32 of them fill 3.
std::uint32_t ones(dim word, int bits) {
  constexpr std::uint32_t kThree[] = {0x49249249, 0x92492492, 0x24924924};
  if (bits == 3) return kThree[word % 3];
  return bits == 2 ? 0x55555555 : bits == 4 ? 0x11111111 : 0x01010101;
}
// The same words in the other order, which is what GPTQModel takes for three bits.
std::uint32_t reversed_ones(dim word, int bits) { return ones(bits == 3 ? 2 - word % 3 : word, bits); }

constexpr Convention kStored{"gptq_v2", none}, kLessOne{"gptq", ones}, kLessOneReversed{"gptq", reversed_ones};

struct Settings {
  int bits = 0;
  dim group = 0;  // 0: the whole row
  bool symmetric = true;
  bool mixed = false;  // "dynamic": some modules differ
  Convention convention = kLessOne;
};

bool written_by_gptqmodel(const JsonKeys& keys) {
  const auto* meta = keys.object_or_null("meta");
  return meta && JsonKeys{*meta, keys.where, keys.prefix + "meta."}.has("quantizer");
}

Settings settings_of(const JsonKeys& keys) {
  Settings s;
  s.bits = int(keys.size("bits", 8));
  s.group = keys.group_size("group_size");
  s.symmetric = keys.flag_or("sym", true);
  s.mixed = keys.has("dynamic");
  const std::string format = keys.text_or("checkpoint_format", keys.text_or("format", "gptq"));
  if (format == kStored.name)
    s.convention = kStored;
  else if (format != kLessOne.name)
    throw Error(Blame::input, keys.where,
                fmt::format("{}checkpoint_format: expected gptq or gptq_v2, got {}", keys.prefix, printable(format)),
                "GPTQModel can rewrite the checkpoint in one of these");
  else if (s.bits == 3 && written_by_gptqmodel(keys))
    s.convention = kLessOneReversed;
  if (keys.flag_or("is_marlin_format", false))
    throw input_error(keys.where, "{}is_marlin_format: expected false, got true", keys.prefix);
  return s;
}

bool known_bits(dim bits) { return bits == 2 || bits == 3 || bits == 4 || bits == 8; }

// The stored parts of one layer.
class Layer {
 public:
  Layer(const SafetensorsSet& files, const SafeTensor& packed, const Settings& settings)
      : files_(files), base_(module_of(packed, kPacked)), packed_(packed) {
    expect_matrix(packed, "I32");
    rows_ = packed.shape[1];
    take_sizes(settings);
    take_groups(settings);
    zero_words_ = (rows_ * bits_) / 32;
    expect_shape(companion(files, base_, ".qzeros"), "I32", {groups_, zero_words_});
    scales_ = &companion(files, base_, ".scales");
    expect_float(*scales_, {groups_, rows_});
  }

  // Zero point of each (group, row), group after group.
  std::vector<std::uint8_t> zeros(const Convention& convention) const {
    const std::byte* stored = files_.data(companion(files_, base_, ".qzeros"));
    std::vector<std::uint8_t> out(static_cast<std::size_t>(groups_ * rows_));
    std::vector<std::uint32_t> words(static_cast<std::size_t>(zero_words_));
    for (dim g = 0; g < groups_; ++g) {
      for (dim w = 0; w < zero_words_; ++w)
        words[std::size_t(w)] = load_at<std::uint32_t>(stored, g * zero_words_ + w) + convention.taken(w, bits_);
      for (dim r = 0; r < rows_; ++r)
        out[std::size_t(g * rows_ + r)] =
            std::uint8_t(get_bits(reinterpret_cast<const std::byte*>(words.data()), 1, r, bits_));
    }
    return out;
  }

  ModelTensor read(const Settings& settings, Unpacked& out) const;

 private:
  void take_sizes(const Settings& settings) {
    bits_ = settings.bits;
    const SafeTensor* order = files_.find(base_ + ".g_idx");
    if (settings.mixed && order && order->shape.size() == 1 && order->shape[0] > 0)
      bits_ = int(std::min<dim>(packed_.shape[0] * 32 / order->shape[0], 32));
    if (!known_bits(bits_)) throw input_error(printable(base_), "expected 2, 3, 4 or 8 bits, got {}", bits_);
    cols_ = packed_.shape[0] * 32 / bits_;
    if (cols_ * bits_ != packed_.shape[0] * 32 || (rows_ * bits_) % 32 != 0)
      throw input_error(printable(packed_.name), "expected whole words of {}-bit codes and zero points, found {}",
                        bits_, shape_text(packed_.shape));
  }

  void take_groups(const Settings& settings) {
    const SafeTensor& scales = companion(files_, base_, ".scales");
    groups_ = scales.shape.size() == 2 ? scales.shape[0] : 0;
    if (groups_ < 1 || groups_ > cols_)
      throw input_error(printable(scales.name), "expected scales of 1 to {} groups, found {}", cols_,
                        shape_text(scales.shape));
    group_ = cols_ % groups_ == 0 ? cols_ / groups_ : settings.group ? settings.group : cols_;
    if ((cols_ + group_ - 1) / group_ != groups_)
      throw input_error(printable(scales.name), "expected {} groups of {}, found {}", (cols_ + group_ - 1) / group_,
                        group_, groups_);
    const SafeTensor* order = files_.find(base_ + ".g_idx");
    if (!order) return;
    expect_shape(*order, "I32", {cols_});
    std::vector<std::int32_t> of_col(static_cast<std::size_t>(cols_));
    bool in_order = true;
    for (dim c = 0; c < cols_; ++c) {
      const auto g = load_at<std::int32_t>(files_.data(*order), c);
      if (g < 0 || g >= groups_)
        throw input_error(printable(order->name), "expected groups 0 to {}, found {}", groups_ - 1, g);
      in_order &= g == c / group_;
      of_col[std::size_t(c)] = g;
    }
    if (!in_order) group_of_col_ = std::move(of_col);
  }

  const SafetensorsSet& files_;
  std::string base_;
  const SafeTensor& packed_;
  const SafeTensor* scales_ = nullptr;
  int bits_ = 0;
  dim rows_ = 0, cols_ = 0, group_ = 0, groups_ = 0, zero_words_ = 0;
  std::vector<std::int32_t> group_of_col_;
};

bool all_are(const std::vector<std::uint8_t>& zeros, int value) {
  return std::all_of(zeros.begin(), zeros.end(), [&](std::uint8_t z) { return z == value; });
}

ModelTensor Layer::read(const Settings& settings, Unpacked& out) const {
  GridLayer layer;
  layer.name = base_ + ".weight";
  layer.rows = rows_;
  layer.cols = cols_;
  layer.by_row = settings.group == 0;
  layer.grid = {GridKind::zero_point, bits_, group_};
  layer.group_of_col = group_of_col_;
  const int half = 1 << (bits_ - 1);
  std::vector<std::uint8_t> zero = zeros(settings.convention);
  bool symmetric = all_are(zero, half);
  const bool meant = settings.symmetric || settings.mixed;  // of a mixture, the zero points tell
  // Some files say one convention and hold the other. Symmetric ones give themselves away.
  for (const Convention& other : {kStored, kLessOne, kLessOneReversed}) {
    if (symmetric || !meant) break;
    auto others = zeros(other);
    if (!all_are(others, half)) continue;
    zero = std::move(others);
    symmetric = true;
    if (other.name != settings.convention.name)
      out.note(fmt::format("zero points were read as {} stores them, although the checkpoint says {}", other.name,
                           settings.convention.name));
  }
  if (symmetric && meant) layer.grid.kind = GridKind::symmetric;
  const std::byte* words = files_.data(packed_);
  layer.codes = [this, words](dim begin, dim end, std::uint8_t* codes) {
    for (dim c = 0; c < cols_; ++c)
      for (dim r = begin; r < end; ++r)
        codes[(r - begin) * cols_ + c] = std::uint8_t(get_bits(words + r * 4, rows_, c, bits_));
  };
  layer.group = [&](dim r, dim g) {
    const dim at = g * rows_ + r;
    return GridLayer::Group{float_at(files_, *scales_, at), 0, int(zero[std::size_t(at)])};
  };
  return to_tensor(layer, out);
}

// AutoGPTQ writes a bias of zeros where the layer has none.
bool is_zero(const SafetensorsSet& files, const SafeTensor& t) {
  const std::byte* data = files.data(t);
  return std::all_of(data, data + t.size_bytes, [](std::byte b) { return b == std::byte(0); });
}

}  // namespace

void unpack_gptq(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out) {
  const Settings settings = settings_of(quantization);
  for (const SafeTensor& t : files.tensors()) {
    if (!std::string_view(t.name).ends_with(kPacked)) continue;
    out.tensors.push_back(Layer(files, t, settings).read(settings, out));
    const std::string base = module_of(t, kPacked);
    for (const char* suffix : {".qweight", ".qzeros", ".scales", ".g_idx"}) out.done(files, base + suffix);
    const SafeTensor* bias = files.find(base + ".bias");
    if (bias && is_zero(files, *bias)) {
      out.done(files, bias->name);
      out.note("biases of zeros were left out");
    }
  }
}

}  // namespace pith
