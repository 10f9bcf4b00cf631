// Packed layers written bit by bit, with nothing of the readers under test.
#pragma once
#include <cstring>
#include <functional>

#include "core/half.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith::test {

// A layer of codes with made-up content.
struct PackedLayer {
  int bits = 4;
  dim rows = 32, cols = 64, group = 32;
  bool symmetric = false;
  int top() const { return (1 << bits) - 1; }
  dim groups() const { return cols / group; }
  int code(dim r, dim c) const { return int((r * 7 + c * 3 + r * c % 5) & top()); }
  int zero(dim r, dim g) const { return symmetric ? 1 << (bits - 1) : int((r * 5 + g * 3) & top()); }
  // Powers of two with a little more, exact in float16.
  float scale(dim r, dim g) const { return (1.0f + float(r % 8) / 16) * (g % 2 ? 0x1p-7f : 0x1p-6f); }
  float min(dim r, dim g) const { return -float((r + g) % 9) * 0x1p-5f; }
  float value(dim r, dim c, dim g) const { return float(code(r, c) - zero(r, g)) * scale(r, g); }
  float value(dim r, dim c) const { return value(r, c, c / group); }
};

// 32-bit words as a field of bits; bit b of word w has the number 32 * w + b.
class Bits {
 public:
  explicit Bits(dim words) : bytes_(std::size_t(words * 4), '\0') {}
  void put(dim at, int count, std::uint32_t value) {
    for (int b = 0; b < count; ++b)
      if (value >> b & 1)
        bytes_[std::size_t((at + b) / 8)] = char(bytes_[std::size_t((at + b) / 8)] | 1 << (at + b) % 8);
  }
  std::string bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

template <class T>
std::string number_bytes(dim n, const std::function<T(dim)>& at) {
  std::string out;
  for (dim i = 0; i < n; ++i) {
    const T v = at(i);
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  return out;
}

inline std::string f16_bytes(dim n, const std::function<float(dim)>& at) {
  return number_bytes<std::uint16_t>(n, [&](dim i) { return f32_to_f16(at(i)); });
}

inline void add_tensor(WrittenModel& m, std::string name, std::vector<dim> shape, std::string dtype,
                       std::string bytes) {
  m.tensors.push_back({std::move(name), {shape.begin(), shape.end()}, std::move(dtype), std::move(bytes)});
}

// The text of the Error that opening the folder throws.
inline std::string fault_of_open(const std::filesystem::path& folder) {
  try {
    (void)Model::open(folder);
    return "none";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace pith::test
