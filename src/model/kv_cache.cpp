#include <algorithm>
#include <limits>

#include "core/error.h"
#include "model/forward.h"

namespace pith {

namespace {

dim checked_bytes(const Config& c, dim sequences, dim capacity) {
  if (sequences < 1 || capacity < 1)
    throw input_error("context", "expected at least one sequence and one token, got {} and {}", sequences, capacity);
  if (capacity > std::numeric_limits<int>::max())
    throw input_error("context", "expected below 2^31 tokens, got {}", capacity);
  dim bytes = 2 * dim(sizeof(float));
  for (const dim factor : {c.layers, c.kv_heads, c.head_dim, sequences, capacity})
    if (__builtin_mul_overflow(bytes, factor, &bytes))
      throw input_error("context", "expected a cache below 2^63 bytes, got {} tokens in {} sequences", capacity,
                        sequences);
  return bytes;
}

}  // namespace

KvCache::KvCache(const Config& c, dim sequences, dim capacity)
    : layers_(c.layers),
      kv_heads_(c.kv_heads),
      head_dim_(c.head_dim),
      capacity_(capacity),
      data_(checked_bytes(c, sequences, capacity)) {
  length_.resize(std::size_t(sequences), 0);
}

void KvCache::truncate(dim sequence, dim length) {
  dim& now = length_.at(std::size_t(sequence));
  PITH_CHECK(length >= 0);
  now = std::min(now, length);
}

void KvCache::clear() { std::fill(length_.begin(), length_.end(), 0); }

// Data: (layers, sequences, 2, kv_heads, capacity, head_dim), keys before values.
float* KvCache::keys(dim layer, dim sequence) {
  PITH_CHECK(layer >= 0 && layer < layers_ && sequence >= 0 && sequence < sequences());
  return data_.as<float>() + (layer * sequences() + sequence) * 2 * kv_heads_ * capacity_ * head_dim_;
}

float* KvCache::values(dim layer, dim sequence) { return keys(layer, sequence) + kv_heads_ * capacity_ * head_dim_; }

dim KvCache::bytes(const Config& c, dim sequences, dim capacity) { return checked_bytes(c, sequences, capacity); }

}  // namespace pith
