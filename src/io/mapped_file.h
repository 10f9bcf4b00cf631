// A file mapped read-only, or bytes held in memory (tests, fuzzing).
#pragma once
#include <filesystem>
#include <span>

#include "core/buffer.h"

namespace pith {

class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);  // Error(environment) when it cannot be opened or mapped
  static MappedFile of_bytes(std::span<const std::byte> bytes);  // copies
  MappedFile(MappedFile&& o) noexcept;
  MappedFile& operator=(MappedFile&& o) noexcept;
  ~MappedFile();
  const std::byte* data() const { return data_; }
  dim size_bytes() const { return size_; }
  std::int64_t modified_ns() const { return modified_ns_; }  // when the file was last changed; 0 for bytes in memory
  // Tells the system that these bytes were read and will not be needed soon (they stay readable), so
  // that streaming over a large model does not grow the resident set.
  void release(const std::byte* begin, dim size_bytes) const;

 private:
  const std::byte* data_ = nullptr;
  dim size_ = 0;
  std::int64_t modified_ns_ = 0;
  Buffer memory_;
};

}  // namespace pith
