// An owned, zeroed, 64-byte-aligned run of bytes. Large ones ask for huge pages, since the first touch
// of small pages is dear on virtual machines: allocate once, reuse.
#pragma once
#include <span>
#include <utility>

#include "core/base.h"

namespace pith {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(dim size_bytes);  // throws Error(environment) when memory cannot be had
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  dim size_bytes() const { return size_; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }
  // Grows (never shrinks) to at least this size; old contents are lost when it grows.
  void reserve(dim size_bytes);

 private:
  std::byte* data_ = nullptr;
  dim size_ = 0;
};

}  // namespace pith
