#include "kernels/codebook_points.h"

namespace pith::kernels {
namespace {

#include "kernels/codebook_bits.inc"

constexpr int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

template <int Count, int Length, int Levels>
class PointSet {
 public:
  PointSet(const std::uint64_t* bits, const float (&level)[Levels]) {
    for (int i = 0; i < Levels; ++i) level_[i] = level[i];
    int point = 0;
    for (int key = 0; key < kKeys; ++key) {
      const bool member = (bits[key / 64] >> key % 64 & 1) != 0;
      at_[key] = std::int16_t(member ? point : -1);
      if (member) add(point++, key);
    }
  }
  PointSet(const PointSet&) = delete;
  PointSet& operator=(const PointSet&) = delete;

  Codebook view() const { return {Count, Length, Levels, level_, rows_, columns_, norms_, at_, keys_}; }

 private:
  static constexpr int kKeys = power(Levels, Length);

  void add(int point, int key) {
    keys_[point] = std::uint16_t(key);
    for (int i = 0; i < Length; ++i, key /= Levels) {
      const float value = level_[key % Levels];
      rows_[point * Length + i] = columns_[i * Count + point] = value;
      norms_[point] += value * value;
    }
  }

  alignas(32) float columns_[Length * Count] = {};
  alignas(32) float norms_[Count] = {};
  float rows_[Count * Length] = {};
  float level_[Levels] = {};
  std::int16_t at_[kKeys] = {};
  std::uint16_t keys_[Count] = {};
};

constexpr float kLevels2[3] = {8, 25, 43};
constexpr float kLevels3Xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kLevels3S[8] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr float kLevels1[3] = {-1, 0, 1};

}  // namespace

const Codebook& codebook_2xxs() {
  static const PointSet<256, 8, 3> points(kBits2Xxs, kLevels2);
  static const Codebook book = points.view();
  return book;
}
const Codebook& codebook_2xs() {
  static const PointSet<512, 8, 3> points(kBits2Xs, kLevels2);
  static const Codebook book = points.view();
  return book;
}
const Codebook& codebook_2s() {
  static const PointSet<1024, 8, 3> points(kBits2S, kLevels2);
  static const Codebook book = points.view();
  return book;
}
const Codebook& codebook_3xxs() {
  static const PointSet<256, 4, 8> points(kBits3Xxs, kLevels3Xxs);
  static const Codebook book = points.view();
  return book;
}
const Codebook& codebook_3s() {
  static const PointSet<512, 4, 8> points(kBits3S, kLevels3S);
  static const Codebook book = points.view();
  return book;
}
const Codebook& codebook_1() {
  static const PointSet<2048, 8, 3> points(kBits1, kLevels1);
  static const Codebook book = points.view();
  return book;
}

}  // namespace pith::kernels
