#include "io/content_hash.h"

#include <xxhash.h>

#include "core/error.h"

namespace pith {

void ContentHash::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

ContentHash::ContentHash() : state_(XXH3_createState()) {
  PITH_CHECK(state_ && XXH3_128bits_reset(state_.get()) == XXH_OK);
}

void ContentHash::update(std::span<const std::byte> bytes) {
  PITH_CHECK(XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()) == XXH_OK);
}

std::string ContentHash::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace pith
