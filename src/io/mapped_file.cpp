#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "io/descriptor.h"

namespace pith {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    throw environment_error(path.string(), "expected a readable file, opening it failed: {}", std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0)
    throw environment_error(path.string(), "expected a readable file, its size is unknown: {}", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw environment_error(path.string(), "expected a plain file, got a folder or device");
  size_ = status.st_size;
  modified_ns_ = std::int64_t(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (size_ == 0) return;
  void* p = mmap(nullptr, std::size_t(size_), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (p == MAP_FAILED)
    throw environment_error(path.string(), "mapping {} bytes failed: {}", size_, std::strerror(errno));
  data_ = static_cast<const std::byte*>(p);
}

MappedFile MappedFile::of_bytes(std::span<const std::byte> bytes) {
  MappedFile file;
  if (bytes.empty()) return file;
  file.size_ = dim(bytes.size());
  file.memory_ = Buffer(file.size_);
  std::memcpy(file.memory_.data(), bytes.data(), bytes.size());
  file.data_ = file.memory_.data();
  return file;
}

MappedFile::MappedFile(MappedFile&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)),
      size_(std::exchange(o.size_, 0)),
      modified_ns_(o.modified_ns_),
      memory_(std::move(o.memory_)) {}

MappedFile& MappedFile::operator=(MappedFile&& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(size_, o.size_);
  std::swap(modified_ns_, o.modified_ns_);
  std::swap(memory_, o.memory_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ && !memory_.data()) munmap(const_cast<std::byte*>(data_), std::size_t(size_));
}

void MappedFile::release(const std::byte* begin, dim size_bytes) const {
  if (memory_.data() || size_bytes <= 0) return;
  PITH_CHECK(begin >= data_ && size_bytes <= size_ - (begin - data_));
  static const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const auto last = (reinterpret_cast<std::uintptr_t>(begin) + std::uintptr_t(size_bytes)) / page * page;
  // Advice only: when it fails the pages merely stay. Pages of a private file map are read again at the next touch.
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace pith
