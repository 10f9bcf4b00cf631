#include "core/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace pith {

namespace {
constexpr dim kHuge = 2 << 20;  // page-mapped and huge from here on
constexpr std::uintptr_t kAlign = 64;

// aligned_alloc cannot use a block again that it gave before for the same size, so memory grows; malloc can. Where the
// block begins stands before the aligned bytes.
std::byte* aligned_block(dim size_bytes) {
  void* block = std::malloc(std::size_t(size_bytes) + kAlign + sizeof(void*));
  if (!block) return nullptr;
  const auto at = (reinterpret_cast<std::uintptr_t>(block) + sizeof(void*) + kAlign - 1) / kAlign * kAlign;
  auto* bytes = reinterpret_cast<std::byte*>(at);
  std::memcpy(bytes - sizeof block, &block, sizeof block);
  return bytes;
}

void free_block(std::byte* bytes) {
  void* block = nullptr;
  std::memcpy(&block, bytes - sizeof block, sizeof block);
  std::free(block);
}
}  // namespace

Buffer::Buffer(dim size_bytes) : size_(size_bytes) {
  PITH_CHECK(size_bytes >= 0);
  if (size_bytes == 0) return;
  if (size_bytes >= kHuge) {
    void* p = mmap(nullptr, std::size_t(size_bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw environment_error("memory", "expected {} bytes, the system gave none", size_bytes);
    madvise(p, std::size_t(size_bytes), MADV_HUGEPAGE);
    data_ = static_cast<std::byte*>(p);
  } else {
    data_ = aligned_block(size_bytes);
    if (!data_) throw environment_error("memory", "expected {} bytes, the system gave none", size_bytes);
    std::memset(data_, 0, std::size_t(size_bytes));
  }
}

Buffer::~Buffer() {
  if (!data_) return;
  if (size_ >= kHuge)
    munmap(data_, std::size_t(size_));
  else
    free_block(data_);
}

void Buffer::reserve(dim size_bytes) {
  if (size_bytes > size_) {
    { Buffer old = std::move(*this); }  // free first, so that old and new are never held together
    *this = Buffer(size_bytes);
  }
}

}  // namespace pith
