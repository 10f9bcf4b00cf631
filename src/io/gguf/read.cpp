#include <limits>
#include <type_traits>

#include "core/error.h"
#include "io/cursor.h"
#include "io/gguf.h"
#include "io/printable.h"

namespace pith {

namespace {

constexpr std::uint32_t kTypeBool = 7;
constexpr std::uint32_t kTypeString = 8;
constexpr std::uint32_t kTypeArray = 9;
constexpr std::uint32_t kTypeCount = 13;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 63;
constexpr std::uint32_t kMaxDims = 4;
// The least bytes of one entry: an empty key, its type and a byte; a name of one byte, dims, type and offset.
constexpr dim kLeastPairBytes = 8 + 1 + 4 + 1;
constexpr dim kLeastTensorBytes = 8 + 1 + 4 + 4 + 8;

std::string read_string(Cursor& in, std::string_view what) {
  const auto size = in.number<std::uint64_t>(what);
  return std::string(in.text(size, what));
}

bool read_bool(Cursor& in, std::string_view what) {
  const auto v = in.number<std::uint8_t>(what);
  if (v > 1) throw input_error(in.where(), "{}: expected a bool of 0 or 1, got {}", what, v);
  return v == 1;
}

template <class T>
std::vector<T> read_array_of(Cursor& in, std::uint64_t count, std::string_view what) {
  std::vector<T> out;
  if constexpr (std::is_same_v<T, std::string>) {
    in.require(count, 8, what);
    out.reserve(std::size_t(count));
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(read_string(in, what));
  } else if constexpr (std::is_same_v<T, bool>) {
    in.require(count, 1, what);
    out.reserve(std::size_t(count));
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(read_bool(in, what));
  } else {
    in.require(count, sizeof(T), what);
    out.resize(std::size_t(count));
    const std::byte* from = in.take(count * sizeof(T), what);
    if (count) std::memcpy(out.data(), from, std::size_t(count) * sizeof(T));
  }
  return out;
}

// Calls body with a value of the type that this id stands for.
template <class Body>
void with_type(std::uint32_t type, Body&& body) {
  switch (type) {
    case 0:
      return body(std::uint8_t{});
    case 1:
      return body(std::int8_t{});
    case 2:
      return body(std::uint16_t{});
    case 3:
      return body(std::int16_t{});
    case 4:
      return body(std::uint32_t{});
    case 5:
      return body(std::int32_t{});
    case 6:
      return body(float{});
    case kTypeBool:
      return body(bool{});
    case kTypeString:
      return body(std::string{});
    case 10:
      return body(std::uint64_t{});
    case 11:
      return body(std::int64_t{});
    case 12:
      return body(double{});
    default:
      throw InternalError("a GGUF type id that was not checked");
  }
}

GgufArray read_array(Cursor& in, std::string_view what) {
  const auto type = in.number<std::uint32_t>(what);
  if (type == kTypeArray) throw input_error(in.where(), "{}: expected plain elements, got an array of arrays", what);
  if (type >= kTypeCount) throw input_error(in.where(), "{}: expected an element type 0 to 12, got {}", what, type);
  const auto count = in.number<std::uint64_t>(what);
  GgufArray array;
  with_type(type, [&](auto kind) { array.values = read_array_of<decltype(kind)>(in, count, what); });
  return array;
}

GgufValue read_value(Cursor& in, std::uint32_t type, std::string_view what) {
  if (type == kTypeArray) return read_array(in, what);
  if (type >= kTypeCount) throw input_error(in.where(), "{}: expected a value type 0 to 12, got {}", what, type);
  GgufValue value;
  with_type(type, [&](auto kind) {
    using T = decltype(kind);
    if constexpr (std::is_same_v<T, std::string>)
      value = read_string(in, what);
    else if constexpr (std::is_same_v<T, bool>)
      value = read_bool(in, what);
    else
      value = in.number<T>(what);
  });
  return value;
}

GgufMeta read_meta(Cursor& in, std::uint64_t count) {
  in.require(count, kLeastPairBytes, "metadata");
  GgufMeta meta;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key_bytes = in.number<std::uint64_t>("key");
    if (key_bytes == 0) throw input_error(in.where(), "expected a key, key {} is empty", i);
    if (key_bytes > kMaxKeyBytes)
      throw input_error(in.where(), "expected keys of at most {} bytes, key {} has {}", kMaxKeyBytes, i, key_bytes);
    std::string key(in.text(key_bytes, "key"));
    const std::string what = "key " + printable(key);
    if (meta.has(key)) throw input_error(in.where(), "expected each key once, {} is repeated", what);
    const auto type = in.number<std::uint32_t>(what);
    meta.set(std::move(key), read_value(in, type, what));
  }
  return meta;
}

// Values of the tensor; every dimension and the product are checked.
dim checked_elements(const Cursor& in, const GgufTensor& t, const std::string& what) {
  dim elements = 1;
  for (const dim n : t.shape) {
    if (n <= 0) throw input_error(in.where(), "{}: expected positive dimensions, got {}", what, n);
    if (elements > std::numeric_limits<dim>::max() / n)
      throw input_error(in.where(), "{}: expected fewer than 2^63 values, its dimensions overflow", what);
    elements *= n;
  }
  return elements;
}

GgufTensor read_tensor_info(Cursor& in, std::uint64_t i) {
  GgufTensor t;
  const auto name_bytes = in.number<std::uint64_t>("tensor name");
  if (name_bytes == 0) throw input_error(in.where(), "expected a tensor name, name {} is empty", i);
  if (name_bytes > kMaxTensorNameBytes)
    throw input_error(in.where(), "expected tensor names of at most {} bytes, name {} is too long: {} bytes",
                      kMaxTensorNameBytes, i, name_bytes);
  t.name = in.text(name_bytes, "tensor name");
  const std::string what = "tensor " + printable(t.name);
  const auto dims = in.number<std::uint32_t>(what);
  if (dims > kMaxDims)
    throw input_error(in.where(), "{}: expected at most {} dimensions, got {}", what, kMaxDims, dims);
  for (std::uint32_t d = 0; d < dims; ++d) t.shape.push_back(in.number<dim>(what));
  const auto type_id = in.number<std::uint32_t>(what);
  const GgufType* type = type_id > 255 ? nullptr : gguf_type(int(type_id));
  if (!type) throw input_error(in.where(), "{}: expected a tensor type ggml has, got unknown type {}", what, type_id);
  t.type = type->id;
  const dim elements = checked_elements(in, t, what);
  const dim row = t.shape.empty() ? 1 : t.shape[0];
  if (row % type->block != 0)
    throw input_error(in.where(), "{}: expected rows of whole blocks of {} values for {}, got {} values", what,
                      type->block, type->name, row);
  const dim blocks = elements / type->block;
  if (blocks > std::numeric_limits<dim>::max() / type->block_bytes)
    throw input_error(in.where(), "{}: expected fewer than 2^63 bytes, its size overflows", what);
  t.size_bytes = blocks * type->block_bytes;
  const auto offset = in.number<std::uint64_t>(what);
  if (offset > std::uint64_t(std::numeric_limits<dim>::max()))
    throw input_error(in.where(), "{}: expected an offset below 2^63, got {}", what, offset);
  t.offset_bytes = dim(offset);
  return t;
}

dim alignment_of(const GgufMeta& meta, const std::string& where) {
  const GgufValue* value = meta.find("general.alignment");
  if (!value) return 32;
  const auto* given = std::get_if<std::uint32_t>(value);
  if (!given) throw input_error(where, "expected general.alignment as u32, it has another type");
  if (*given == 0 || (*given & (*given - 1)) != 0)
    throw input_error(where, "expected general.alignment to be a power of two, got {}", *given);
  return *given;
}

// Turns offsets within the data part into offsets in the file. ggml takes no order but that of the list, and no
// gap but the padding.
void place_tensors(std::vector<GgufTensor>& tensors, dim header_bytes, dim alignment, dim file_bytes,
                   const std::string& where) {
  const auto padded = [&](dim n) { return n + (alignment - n % alignment) % alignment; };
  const dim data_start = padded(header_bytes);
  dim expected = 0;
  for (GgufTensor& t : tensors) {
    if (t.offset_bytes != expected)
      throw input_error(where, "tensor {}: expected offset {}, right after the tensors before it, got {}",
                        printable(t.name), expected, t.offset_bytes);
    const dim room = file_bytes - data_start - expected;
    if (t.size_bytes > room)
      throw input_error(where, "tensor {}: truncated: expected {} bytes of data at byte {}, the file has {} bytes",
                        printable(t.name), t.size_bytes, data_start + expected, file_bytes);
    t.offset_bytes = data_start + expected;
    expected = padded(expected + t.size_bytes);
  }
}

int read_version(Cursor& in) {
  const std::string_view magic = in.text(4, "the magic number");
  if (magic != "GGUF") throw input_error(in.where(), "expected a GGUF file, its first bytes are {}", printable(magic));
  const auto version = in.number<std::uint32_t>("version");
  if (version != 0 && (version & 0xffff) == 0)
    throw input_error(in.where(), "expected a little-endian file, got a big-endian one (version {:#x})", version);
  if (version != 2 && version != 3) throw input_error(in.where(), "expected version 2 or 3, got {}", version);
  return int(version);
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) { *this = parse(MappedFile(path), path.string()); }

GgufFile GgufFile::parse(MappedFile file, std::string name) {
  GgufFile out;
  Cursor in({file.data(), std::size_t(file.size_bytes())}, std::move(name));
  out.version_ = read_version(in);
  const auto tensor_count = in.number<std::uint64_t>("tensor count");
  const auto pair_count = in.number<std::uint64_t>("metadata count");
  in.require(tensor_count, kLeastTensorBytes, "tensor descriptions");
  out.meta_ = read_meta(in, pair_count);
  in.require(tensor_count, kLeastTensorBytes, "tensor descriptions");
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    GgufTensor t = read_tensor_info(in, i);
    if (!out.index_.emplace(t.name, out.tensors_.size()).second)
      throw input_error(in.where(), "expected each tensor once, {} is repeated", printable(t.name));
    out.tensors_.push_back(std::move(t));
  }
  const dim alignment = alignment_of(out.meta_, in.where());
  place_tensors(out.tensors_, in.position(), alignment, file.size_bytes(), in.where());
  out.file_ = std::move(file);
  return out;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? nullptr : &tensors_[at->second];
}

}  // namespace pith
