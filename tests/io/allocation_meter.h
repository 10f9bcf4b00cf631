// How much memory the whole test program holds through operator new.
#pragma once
#include <cstddef>

namespace pith::test {

// Peak of the bytes held since this object was made, above what was held then.
class AllocationMeter {
 public:
  AllocationMeter();
  std::ptrdiff_t peak_bytes() const;

 private:
  std::ptrdiff_t start_;
};

}  // namespace pith::test
