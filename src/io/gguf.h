// GGUF v2 and v3 files: key-value metadata and tensors (ggml-org/ggml docs/gguf.md).
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/mapped_file.h"

namespace pith {

// How ggml stores one of its types: `block` values in `block_bytes` bytes.
struct GgufType {
  int id;
  std::string_view name;  // "Q4_K"
  dim block;
  dim block_bytes;
};
const GgufType* gguf_type(int id);  // null when unknown to ggml or removed from it

// Array of one element type; strings and numbers only (ggml refuses nested arrays).
struct GgufArray;
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
struct GgufArray {  // the variant's order is GGUF's type ids, so index() == type id
  std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>, std::vector<float>,
               std::vector<bool>, std::vector<std::string>, std::monostate, std::vector<std::uint64_t>,
               std::vector<std::int64_t>, std::vector<double>>
      values;
  bool operator==(const GgufArray&) const = default;
};

// Ordered metadata. Getters by key; integers convert between widths when the value fits. `get_*` throws
// Error(input) naming the key when it is missing or of another kind; `find_*` return null / the default.
class GgufMeta {
 public:
  const GgufValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::int64_t get_int(std::string_view key) const;
  std::int64_t find_int(std::string_view key, std::int64_t otherwise) const;
  double get_float(std::string_view key) const;
  double find_float(std::string_view key, double otherwise) const;
  bool find_bool(std::string_view key, bool otherwise) const;
  const std::string& get_string(std::string_view key) const;
  std::string find_string(std::string_view key, std::string_view otherwise) const;
  const std::vector<std::string>& get_strings(std::string_view key) const;
  // Any array of integers or bools (or a scalar, as one element); empty if absent.
  std::vector<std::int64_t> find_ints(std::string_view key) const;
  std::vector<float> find_floats(std::string_view key) const;  // f32/f64 array; empty if absent

  void set(std::string key, GgufValue value);  // replaces, or appends
  void erase(std::string_view key);
  const std::vector<std::pair<std::string, GgufValue>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, GgufValue>> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

struct GgufTensor {
  std::string name;
  std::vector<dim> shape;  // as stored: FASTEST dimension first ([cols, rows] for a matrix)
  int type = 0;            // ggml type id
  dim offset_bytes = 0;    // from the start of the file
  dim size_bytes = 0;
};

// A mapped file; every length and offset was checked against the file's size before it is shown.
// Types without a format in formats/ are listed by `inspect` but have no decoder: size_bytes comes from
// a table of block sizes of all current ggml types. Throws Error(input) that names the fault.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);
  static GgufFile parse(MappedFile file, std::string name);  // for tests and fuzzing
  const GgufMeta& meta() const { return meta_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find(std::string_view name) const;
  const std::byte* data(const GgufTensor& t) const { return file_.data() + t.offset_bytes; }
  int version() const { return version_; }
  const MappedFile& file() const { return file_; }

 private:
  GgufFile() = default;
  MappedFile file_;
  GgufMeta meta_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  int version_ = 3;
};

// What must be written: the bytes before the data (padded), where each tensor goes, and the file's size.
struct FileLayout {
  std::string head;
  std::vector<dim> offsets_bytes;  // of tensor i, from the start of the file
  dim total_bytes = 0;             // padding after the last tensor included
};
// v3, alignment general.alignment (default 32). Offsets of `tensors` are ignored and computed; size_bytes is used.
FileLayout gguf_layout(const GgufMeta& meta, std::span<const GgufTensor> tensors);

}  // namespace pith
