#include "formats/levels/nf4.h"

#include <array>
#include <cstring>

#include "formats/block_codec.h"
#include "formats/scale_search.h"

namespace pith {

namespace {

constexpr int kEffort = 5;

float load_f32(const std::byte* p) {
  float v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
void store_f32(std::byte* p, float v) { std::memcpy(p, &v, sizeof v); }

// The values of the codes, and the same in ascending order with their codes. Of a value that two codes stand for the
// first code is taken.
struct Table {
  const float* value;
  float ascending[16];
  std::uint8_t code[16];
};

constexpr Table table_of(const float* value) {
  Table t{value, {}, {}};
  for (int c = 0; c < 16; ++c) {
    int at = c;
    for (; at > 0 && t.ascending[at - 1] > value[c]; --at) {
      t.ascending[at] = t.ascending[at - 1];
      t.code[at] = t.code[at - 1];
    }
    t.ascending[at] = value[c];
    t.code[at] = at > 0 && t.ascending[at - 1] == value[c] ? t.code[at - 1] : std::uint8_t(c);
  }
  return t;
}
constexpr Table kNf4 = table_of(kNf4Table), kFp4 = table_of(kFp4Table);

// Codes of n <= 64 values.
void nearest_codes(const Table& t, const float* x, dim n, float scale, std::uint8_t* out) {
  const float used = usable_scale(std::fabs(scale)) == 0 ? 0.0f : scale;
  const dim whole = n & ~dim(7);
  kernels::search_kernels().table_codes(x, whole, used, t.ascending, out);
  if (whole < n) {
    float eight[8] = {};
    std::uint8_t codes[8];
    std::copy(x + whole, x + n, eight);
    kernels::search_kernels().table_codes(eight, 8, used, t.ascending, codes);
    std::copy(codes, codes + (n - whole), out + whole);
  }
  for (dim i = 0; i < n; ++i) out[i] = t.code[out[i]];
}

std::uint8_t nearest_code(const Table& t, float scale, float value) {
  std::uint8_t code;
  nearest_codes(t, &value, 1, scale, &code);
  return code;
}

float best_scale(const Table& t, const float* x, const float* w, dim n, const kernels::SearchPlan& plan) {
  float y[kNf4Block];
  return search_scale({x, w, n, 1.0f}, plan, y, [&](float scale, float* out) {
    std::uint8_t codes[kNf4Block];
    nearest_codes(t, x, n, scale, codes);
    for (dim i = 0; i < n; ++i) out[i] = t.value[codes[i]] * scale;
  });
}

// The first of each pair in the high nibble; an odd last value leaves the low one 0.
void pack_high_first(const std::uint8_t* codes, dim n, std::byte* out) {
  for (dim i = 0; i < n; i += 2) out[i / 2] = std::byte(codes[i] << 4 | (i + 1 < n ? codes[i + 1] : 0));
}
void set_high_first(std::byte* bytes, dim j, std::uint8_t code) {
  std::byte& b = bytes[j / 2];
  b = j % 2 ? (b & std::byte{0xf0}) | std::byte(code) : (b & std::byte{0x0f}) | std::byte(code << 4);
}
void decode_high_first(const Table& t, const std::byte* in, dim n, float scale, float* out) {
  float values[16];
  for (int c = 0; c < 16; ++c) values[c] = t.value[c] * scale;
  for (dim i = 0; i + 1 < n; i += 2) {
    const auto b = std::to_integer<unsigned>(in[i / 2]);
    out[i] = values[b >> 4];
    out[i + 1] = values[b & 15];
  }
  if (n % 2) out[n - 1] = values[std::to_integer<unsigned>(in[n / 2]) >> 4];
}

template <const Table& T>
struct Blocks {
  static constexpr dim kBlock = kNf4Block, kBytes = 36;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) {
    return plan_of(r, weighted, kEffort, kEffort);
  }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return best_scale(T, x, w, kBlock, plan);
  }
  static void store(Grid d, std::byte* block) { store_f32(block, d); }
  static Grid load(const std::byte* block) { return load_f32(block); }
  static void codes(const float* x, Grid d, std::uint8_t* out) { nearest_codes(T, x, kBlock, d, out); }
  static std::uint8_t code(Grid d, float value) { return nearest_code(T, d, value); }
  static void pack(const std::uint8_t* codes, std::byte* block) { pack_high_first(codes, kBlock, block + 4); }
  static void set(std::byte* block, dim j, std::uint8_t code) { set_high_first(block + 4, j, code); }
  static float value(Grid d, std::uint8_t code) { return T.value[code] * d; }
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes) decode_high_first(T, in + 4, kBlock, load_f32(in), out + i);
  }
};

std::array<float, 256> make_scale_map() {
  std::array<float, 256> map{};
  std::size_t at = 0;
  double decade = 1e-6;
  for (int i = 0; i < 7; ++i, decade *= 10) {
    const int count = 1 << i;
    for (int k = 0; k < count; ++k) {
      const auto value = float(decade * (0.1 + 0.9 * (k + 0.5) / count));
      map[at++] = value;
      map[at++] = -value;
    }
  }
  map[at++] = 0;
  map[at++] = 1;
  std::sort(map.begin(), map.end());
  return map;
}

std::uint8_t nearest_in_map(float v) {
  const auto map = nf4_scale_map();
  const auto above = std::lower_bound(map.begin(), map.end(), v);
  if (above == map.begin()) return 0;
  if (above == map.end()) return 255;
  const auto index = above - map.begin();
  return std::uint8_t(v - above[-1] <= *above - v ? index - 1 : index);
}

float block_scale(const Nf4DqLayout& at, const std::byte* row, dim block) {
  const float nested = load_f32(row + at.nested + block / kNf4Group * 4);
  return nf4_scale_map()[std::to_integer<std::size_t>(row[at.scales + block])] * nested + load_f32(row);
}

dim length_of(dim block, dim n) { return std::min(kNf4Block, n - block * kNf4Block); }

dim dq_bytes(const Format&, dim n) { return nf4_dq_layout(n).bytes; }

void decode_dq(const Format&, const std::byte* in, dim n, float* out) {
  const auto at = nf4_dq_layout(n);
  for (dim b = 0; b < at.blocks; ++b)
    decode_high_first(kNf4, in + at.codes + b * kNf4Block / 2, length_of(b, n), block_scale(at, in, b),
                      out + b * kNf4Block);
}

void store_scales(const Nf4DqLayout& at, const std::vector<float>& scales, std::byte* row) {
  double sum = 0;
  for (const float s : scales) sum += double(s);
  const auto offset = float(sum / double(at.blocks));
  store_f32(row, offset);
  for (dim g = 0; g < at.groups; ++g) {
    const dim first = g * kNf4Group, end = std::min(first + kNf4Group, at.blocks);
    float nested = 0;
    for (dim b = first; b < end; ++b) nested = std::max(nested, std::fabs(scales[std::size_t(b)] - offset));
    store_f32(row + at.nested + 4 * g, nested);
    for (dim b = first; b < end; ++b) {
      const float rest = nested > 0 ? (scales[std::size_t(b)] - offset) / nested : 0.0f;
      row[at.scales + b] = std::byte(nearest_in_map(rest));
    }
  }
}

void fit_dq(const Format&, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* row) {
  const auto at = nf4_dq_layout(n);
  if (n == 0) return;
  std::memset(row, 0, std::size_t(at.bytes));
  const auto plan = plan_of(r, importance != nullptr, kEffort, kEffort);
  std::vector<float> scales(static_cast<std::size_t>(at.blocks));
  for (dim b = 0; b < at.blocks; ++b) {
    const dim i = b * kNf4Block;
    scales[std::size_t(b)] = best_scale(kNf4, x + i, importance ? importance + i : nullptr, length_of(b, n), plan);
  }
  store_scales(at, scales, row);
}

void encode_dq(const Format& f, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* row) {
  fit_dq(f, x, importance, n, r, row);
  const auto at = nf4_dq_layout(n);
  std::uint8_t codes[kNf4Block];
  for (dim b = 0; b < at.blocks; ++b) {
    const dim count = length_of(b, n);
    nearest_codes(kNf4, x + b * kNf4Block, count, block_scale(at, row, b), codes);
    pack_high_first(codes, count, row + at.codes + b * kNf4Block / 2);
  }
}

float put_dq(const Format&, std::byte* row, dim n, dim j, float value) {
  const auto at = nf4_dq_layout(n);
  const float scale = block_scale(at, row, j / kNf4Block);
  const std::uint8_t code = nearest_code(kNf4, scale, value);
  set_high_first(row + at.codes, j, code);
  return kNf4Table[code] * scale;
}

}  // namespace

Nf4DqLayout nf4_dq_layout(dim n) {
  if (n == 0) return {};
  Nf4DqLayout at{};
  at.blocks = (n + kNf4Block - 1) / kNf4Block;
  at.groups = (at.blocks + kNf4Group - 1) / kNf4Group;
  at.nested = 4;
  at.scales = at.nested + 4 * at.groups;
  at.codes = at.scales + at.blocks;
  at.bytes = at.codes + (n + 1) / 2;
  return at;
}

std::span<const float, 256> nf4_scale_map() {
  static const std::array<float, 256> map = make_scale_map();
  return map;
}

extern const Format format_nf4_b64 = BlockCodec<Blocks<kNf4>>::format(
    "nf4_b64", "4-bit NormalFloat codes, one scale per 64; bitsandbytes", "nf4_b64_dq", -1);
extern const Format format_fp4_b64 =
    BlockCodec<Blocks<kFp4>>::format("fp4_b64", "4-bit float codes, one scale per 64; bitsandbytes", "nf4_b64_dq", -1);
extern const Format format_nf4_b64_dq = {"nf4_b64_dq",
                                         "4-bit NormalFloat codes, 8-bit scales per 64; bitsandbytes",
                                         0,
                                         0,
                                         "",
                                         -1,
                                         {},
                                         dq_bytes,
                                         decode_dq,
                                         encode_dq,
                                         fit_dq,
                                         put_dq};

}  // namespace pith
