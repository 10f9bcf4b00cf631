#include "tests/io/allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::ptrdiff_t> held{0};
std::atomic<std::ptrdiff_t> peak{0};

void* counted(void* p) {
  if (!p) throw std::bad_alloc();
  const std::ptrdiff_t now = held += std::ptrdiff_t(malloc_usable_size(p));
  std::ptrdiff_t old = peak;
  while (now > old && !peak.compare_exchange_weak(old, now)) {
  }
  return p;
}

void* counted_or_null(std::size_t n) noexcept {
  void* p = std::malloc(n);
  return p ? counted(p) : nullptr;
}

void forget(void* p) {
  if (p) held -= std::ptrdiff_t(malloc_usable_size(p));
  std::free(p);
}

}  // namespace

// The forms with an alignment are left alone: the parsers' containers do not use them.
void* operator new(std::size_t n) { return counted(std::malloc(n)); }
void* operator new[](std::size_t n) { return counted(std::malloc(n)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return counted_or_null(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return counted_or_null(n); }
void operator delete(void* p) noexcept { forget(p); }
void operator delete[](void* p) noexcept { forget(p); }
void operator delete(void* p, std::size_t) noexcept { forget(p); }
void operator delete[](void* p, std::size_t) noexcept { forget(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { forget(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { forget(p); }

namespace pith::test {

AllocationMeter::AllocationMeter() : start_(held) { peak = start_; }
std::ptrdiff_t AllocationMeter::peak_bytes() const { return peak - start_; }

}  // namespace pith::test
