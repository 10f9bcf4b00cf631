#include <set>
#include <type_traits>

#include "core/error.h"
#include "io/gguf.h"
#include "io/printable.h"

namespace pith {

namespace {

constexpr std::size_t kMaxTensorNameBytes = 63;
constexpr std::size_t kMaxKeyBytes = 65535;
constexpr std::size_t kMaxDims = 4;

class Writer {
 public:
  template <class T>
  void number(T v) {
    out.append(reinterpret_cast<const char*>(&v), sizeof(T));
  }
  void string(std::string_view s) {
    number(std::uint64_t(s.size()));
    out += s;
  }
  template <class T>
  void element(const T& v) {
    if constexpr (std::is_same_v<T, std::string>)
      string(v);
    else if constexpr (std::is_same_v<T, bool>)
      number(std::uint8_t(v));
    else
      number(v);
  }
  void array(const GgufArray& a) {
    number(std::uint32_t(a.values.index()));
    std::visit(
        [&](const auto& values) {
          using V = std::decay_t<decltype(values)>;
          if constexpr (std::is_same_v<V, std::monostate>) {
            throw InternalError("a GGUF array without an element type");
          } else {
            number(std::uint64_t(values.size()));
            for (typename V::const_reference v : values) element<typename V::value_type>(v);
          }
        },
        a.values);
  }
  void value(const GgufValue& value) {
    number(std::uint32_t(value.index()));
    std::visit(
        [&](const auto& v) {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, GgufArray>)
            array(v);
          else
            element(v);
        },
        value);
  }

  std::string out;
};

dim alignment_of(const GgufMeta& meta) {
  const GgufValue* value = meta.find("general.alignment");
  if (!value) return 32;
  const auto* given = std::get_if<std::uint32_t>(value);
  if (!given || *given == 0 || (*given & (*given - 1)) != 0)
    throw input_error("gguf", "expected general.alignment as u32 and a power of two");
  return *given;
}

void check_writable(const GgufMeta& meta, std::span<const GgufTensor> tensors) {
  for (const auto& [key, value] : meta.entries())
    if (key.empty() || key.size() > kMaxKeyBytes)
      throw input_error("gguf", "expected keys of 1 to {} bytes, got {}", kMaxKeyBytes, key.size());
  std::set<std::string_view> names;
  for (const GgufTensor& t : tensors) {
    if (t.name.empty() || t.name.size() > kMaxTensorNameBytes)
      throw input_error("gguf", "expected tensor names of 1 to {} bytes, got {} bytes: {}", kMaxTensorNameBytes,
                        t.name.size(), printable(t.name));
    if (!names.insert(t.name).second)
      throw input_error("gguf", "expected each tensor once, {} is repeated", printable(t.name));
    if (t.shape.size() > kMaxDims)
      throw input_error("gguf", "tensor {}: expected at most {} dimensions, got {}", printable(t.name), kMaxDims,
                        t.shape.size());
    const GgufType* type = gguf_type(t.type);
    PITH_CHECK(type);
    dim elements = 1;
    for (const dim n : t.shape) elements *= n;
    PITH_CHECK(elements > 0 && (t.shape.empty() ? 1 : t.shape[0]) % type->block == 0);
    PITH_CHECK(t.size_bytes == elements / type->block * type->block_bytes);
  }
}

}  // namespace

FileLayout gguf_layout(const GgufMeta& meta, std::span<const GgufTensor> tensors) {
  check_writable(meta, tensors);
  const dim alignment = alignment_of(meta);
  const auto padded = [&](dim n) { return n + (alignment - n % alignment) % alignment; };
  Writer w;
  w.out = "GGUF";
  w.number(std::uint32_t(3));
  w.number(std::uint64_t(tensors.size()));
  w.number(std::uint64_t(meta.entries().size()));
  for (const auto& [key, value] : meta.entries()) {
    w.string(key);
    w.value(value);
  }
  dim offset = 0;
  FileLayout layout;
  for (const GgufTensor& t : tensors) {
    w.string(t.name);
    w.number(std::uint32_t(t.shape.size()));
    for (const dim n : t.shape) w.number(n);
    w.number(std::uint32_t(t.type));
    w.number(std::uint64_t(offset));
    layout.offsets_bytes.push_back(offset);
    offset = padded(offset + t.size_bytes);
  }
  w.out.resize(std::size_t(padded(dim(w.out.size()))), '\0');
  layout.head = std::move(w.out);
  for (dim& o : layout.offsets_bytes) o += dim(layout.head.size());
  layout.total_bytes = dim(layout.head.size()) + offset;
  return layout;
}

}  // namespace pith
