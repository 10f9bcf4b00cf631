// The kernels that promise the same bits under every instruction set, side by side: the specification in plain C++
// against the one this processor runs.
#include <cmath>
#include <cstring>

#include "kernels/codebook.h"
#include "kernels/decode.h"
#include "kernels/eight_blocks.h"
#include "kernels/kquant.h"
#include "kernels/kv_codes.h"
#include "kernels/search.h"

namespace {

using namespace pith;
using namespace pith::kernels;

constexpr dim kValues = 256;

// Bytes of the input, again from its beginning after its end.
class Source {
 public:
  Source(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t byte() { return size_ ? data_[at_++ % size_] : 0; }
  dim below(dim n) { return (byte() | dim(byte()) << 8) % n; }
  void bytes(std::byte* to, dim n) {
    for (dim i = 0; i < n; ++i) to[i] = std::byte(byte());
  }
  // Finite, of any size; now and then of a few levels, so that there are ties.
  void floats(float* to, dim n) {
    const bool even = byte() % 4 == 0;
    for (dim i = 0; i < n; ++i) {
      std::uint32_t bits = 0;
      for (int k = 0; k < 4; ++k) bits = bits << 8 | byte();
      std::memcpy(to + i, &bits, sizeof bits);
      if (even) to[i] = float(int(bits % 33) - 16) / 8;
      if (!std::isfinite(to[i])) to[i] = 0;
    }
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

void same(const void* a, const void* b, std::size_t size) {
  if (std::memcmp(a, b, size) != 0) __builtin_trap();
}
template <class T>
void same(const T& a, const T& b) {
  same(&a, &b, sizeof(T));
}

struct Row {
  float x[kValues], w[kValues];
  const float* weights;
  SearchPlan plan;
  explicit Row(Source& s) {
    s.floats(x, kValues);
    s.floats(w, kValues);
    for (float& v : w) v = std::fabs(v);
    weights = s.byte() % 2 ? w : nullptr;
    plan = {Aim(s.below(3)), 1 + float(s.below(30)) / 10, int(2 + s.below(20)), int(s.below(10))};
  }
};

void searches(Source& s, Isa other) {
  const Row r(s);
  const auto &a = search_kernels(Isa::scalar), &b = search_kernels(other);
  const dim n = 8 * (1 + s.below(kValues / 8));
  const int top = int(1 + s.below(127));
  const float x = a.signed_scale(r.x, r.weights, n, -top - 1, r.plan);
  same(x, b.signed_scale(r.x, r.weights, n, -top - 1, r.plan));
  same(a.even_scale(r.x, r.weights, n, top, r.plan), b.even_scale(r.x, r.weights, n, top, r.plan));
  const Affine f = a.affine(r.x, r.weights, n, top, r.plan), g = b.affine(r.x, r.weights, n, top, r.plan);
  same(f.scale, g.scale);
  same(f.min, g.min);
  same(a.table_scale(r.x, r.weights, n, kIq4Levels, r.plan), b.table_scale(r.x, r.weights, n, kIq4Levels, r.plan));
  std::uint8_t c[kValues] = {}, d[kValues] = {};
  a.codes(r.x, n, f.scale, f.min, 0, top, c);
  b.codes(r.x, n, f.scale, f.min, 0, top, d);
  same(c, d);
}

void eight_blocks(Source& s, Isa other) {
  float x[kValues];
  s.floats(x, kValues);
  using Encode = EightBlockKernels::Encode EightBlockKernels::*;
  constexpr Encode kAll[] = {&EightBlockKernels::q4_0, &EightBlockKernels::q4_1, &EightBlockKernels::q5_0,
                             &EightBlockKernels::q5_1};
  const Encode which = kAll[s.below(4)];
  std::byte a[8 * 24] = {}, b[8 * 24] = {};
  (eight_block_kernels(Isa::scalar).*which)(x, a);
  (eight_block_kernels(other).*which)(x, b);
  same(a, b);
}

void super_blocks(Source& s, Isa other) {
  const Row r(s);
  const auto kind = KKind(s.below(6));
  KBlock a, b;
  kquant_kernels(Isa::scalar).encode(kind, r.x, r.weights, r.plan, &a);
  kquant_kernels(other).encode(kind, r.x, r.weights, r.plan, &b);
  same(a, b);
  float y[kValues], z[kValues];
  kquant_kernels(Isa::scalar).values(kind, &a, y);
  kquant_kernels(other).values(kind, &a, z);
  same(y, z);
}

void rows(Source& s, Isa other) {
  const auto &a = decode_kernels(Isa::scalar), &b = decode_kernels(other);
  std::byte in[kValues / 32 * 34];
  s.bytes(in, sizeof in);
  using Row = DecodeKernels::Row DecodeKernels::*;
  constexpr Row kAll[] = {&DecodeKernels::q8_0, &DecodeKernels::q4_0, &DecodeKernels::q4_1, &DecodeKernels::q5_0,
                          &DecodeKernels::q5_1};
  const Row which = kAll[s.below(5)];
  float y[kValues], z[kValues];
  (a.*which)(in, kValues, y);
  (b.*which)(in, kValues, z);
  for (dim i = 0; i < kValues; ++i)  // of NaNs the bits may be others
    if (!std::isnan(y[i]) || !std::isnan(z[i])) same(y[i], z[i]);
  const int bits = int(2 + s.below(7)), zero = int(s.below(256));
  const dim n = 1 + s.below(200);
  float scale;
  s.floats(&scale, 1);
  a.int_codes(in, n, bits, zero, scale, y);
  b.int_codes(in, n, bits, zero, scale, z);
  same(y, z, std::size_t(n) * sizeof(float));
}

void keys_and_values(Source& s, Isa other) {
  const auto &a = kv_kernels(Isa::scalar), &b = kv_kernels(other);
  std::byte in[kValues];
  s.bytes(in, kValues);
  constexpr int kBits[] = {2, 3, 4, 8};
  const int bits = kBits[s.below(4)];
  const dim n = 1 + s.below(kValues);
  float scale[kValues], min[kValues], y[kValues], z[kValues];
  s.floats(scale, kValues);
  s.floats(min, kValues);
  const auto compare = [&] {
    for (dim i = 0; i < n; ++i)
      if (!std::isnan(y[i]) || !std::isnan(z[i])) same(y[i], z[i]);
  };
  a.affine(in, n, bits, scale[0], min[0], y);
  b.affine(in, n, bits, scale[0], min[0], z);
  compare();
  a.affine_each(in, n, bits, scale, min, y);
  b.affine_each(in, n, bits, scale, min, z);
  compare();
}

void lattices(Source& s, Isa other) {
  const Row r(s);
  const auto kind = Lattice(s.below(7));
  LatticeBlock a, b;
  lattice_kernels(Isa::scalar).encode(kind, r.x, r.weights, r.plan, &a);
  lattice_kernels(other).encode(kind, r.x, r.weights, r.plan, &b);
  float y[kValues], z[kValues];
  lattice_kernels(Isa::scalar).values(kind, &a, y);
  lattice_kernels(other).values(kind, &b, z);
  same(y, z);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Isa other = active_isa();
  if (other == Isa::scalar) return 0;
  Source s(data, size);
  constexpr void (*kAll[])(Source&, Isa) = {searches, eight_blocks, super_blocks, rows, keys_and_values, lattices};
  kAll[s.below(6)](s, other);
  return 0;
}
