// nvfp4: 64 values in 36 bytes; value = E2M1(code) * UE4M3(scale), a scale for each 16 values.
//   0           4                                           36
//   | 4 scales | 4 x 8 bytes: byte j has j | j+8 << 4       |
// Codes as in mxfp4. Scales 127 and 0 stand for 0; bit 7 of a scale is not read.
#include <array>

#include "formats/block_codec.h"

namespace pith {

struct Nvfp4 {
  static constexpr dim kBlock = 64, kBytes = 36, kSub = 16;
  struct Grid {
    int scale[4];
  };

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 0); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    Grid grid;
    for (int s = 0; s < 4; ++s)
      grid.scale[s] = kernels::search_kernels().fp4_scale(x + kSub * s, w ? w + kSub * s : nullptr, plan);
    return grid;
  }
  static void store(const Grid& grid, std::byte* block) {
    for (int s = 0; s < 4; ++s) block[s] = std::byte(grid.scale[s]);
  }
  static Grid load(const std::byte* block) { return {{int(block[0]), int(block[1]), int(block[2]), int(block[3])}}; }
  static void codes(const float* x, const Grid& grid, std::uint8_t* out) {
    for (int s = 0; s < 4; ++s) kernels::search_kernels().fp4_codes(x + kSub * s, grid.scale[s], out + kSub * s);
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (int s = 0; s < 4; ++s) {
      std::uint64_t low, high;
      std::memcpy(&low, codes + kSub * s, sizeof low);
      std::memcpy(&high, codes + kSub * s + 8, sizeof high);
      const std::uint64_t packed = low | high << 4;
      std::memcpy(block + 4 + 8 * s, &packed, sizeof packed);
    }
  }
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (; n > 0; n -= kBlock, in += kBytes)
      for (int s = 0; s < 4; ++s, out += kSub) {
        const float scale = scale_value(int(in[s]));
        for (int j = 0; j < 8; ++j) {
          const int byte = int(in[4 + 8 * s + j]);
          out[j] = kCodeValues[byte & 15] * scale;
          out[j + 8] = kCodeValues[byte >> 4] * scale;
        }
      }
  }

  static float put(const Format&, std::byte* block, dim, dim j, float value) {
    const int s = int(j / kSub), at = int(j % kSub), shift = at / 8 * 4;
    const int scale = int(block[s]) & 127;
    float sixteen[16] = {value};
    std::uint8_t codes[16];
    kernels::search_kernels().fp4_codes(sixteen, scale == 127 ? 0 : scale, codes);
    std::byte& byte = block[4 + 8 * s + at % 8];
    byte = (byte & ~(std::byte{15} << shift)) | std::byte(codes[0] << shift);
    return kCodeValues[codes[0]] * scale_value(int(block[s]));
  }

 private:
  static constexpr float kCodeValues[16] = {0.0f, 0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                            0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
  static constexpr std::array<float, 128> kScaleValues = [] {
    std::array<float, 128> values{};
    for (int code = 1; code < 127; ++code) {
      float v = float(code < 8 ? code : 8 + code % 8) / 512.0f;
      for (int e = 1; e < code / 8; ++e) v *= 2;
      values[std::size_t(code)] = v;
    }
    return values;
  }();
  static float scale_value(int code) { return kScaleValues[std::size_t(code & 127)]; }
};

extern const Format format_nvfp4 = [] {
  using Codec = BlockCodec<Nvfp4>;
  return Format{"nvfp4",
                "4-bit floats, an 8-bit float scale per 16; GGUF",
                64,
                36,
                "mxfp4",
                40,
                {},
                whole_blocks,
                Codec::decode,
                Codec::encode,
                Codec::fit,
                Nvfp4::put};
}();

}  // namespace pith
