// XXH3 of 128 bits, fed piece by piece: tells contents apart at the speed of memory. No defence against forgery; for
// that there is SHA-256 (io/sha256.h).
#pragma once
#include <memory>
#include <span>
#include <string>

#include "core/base.h"

struct XXH3_state_s;

namespace pith {

class ContentHash {
 public:
  ContentHash();
  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // of all so far, 32 lower-case digits, as `xxh128sum` prints it

 private:
  struct Free {
    void operator()(XXH3_state_s*) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace pith
