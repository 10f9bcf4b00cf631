#include <algorithm>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "model/forward.h"

namespace pith {

namespace {

struct Layouts {
  KvLayout keys, values;
};
Layouts layouts_of(const KvPlan& plan, const Config& c, dim capacity) {
  if (!plan.encoded) return {};
  return {KvLayout(plan.keys, c.kv_heads, capacity), KvLayout(plan.values, c.kv_heads, capacity)};
}

dim checked_bytes(const Config& c, dim sequences, dim capacity, const KvPlan& plan) {
  if (sequences < 1 || capacity < 1)
    throw input_error("context", "expected at least one sequence and one token, got {} and {}", sequences, capacity);
  if (capacity > std::numeric_limits<int>::max())
    throw input_error("context", "expected below 2^31 tokens, got {}", capacity);
  // Every codec takes less than twice f32 for the tokens and what it keeps besides: where that is in range, all is.
  constexpr dim kMostKept = 1 << 10;
  dim bytes = 4 * dim(sizeof(float));
  for (const dim factor : {c.layers, c.kv_heads, c.head_dim, sequences, capacity + kMostKept})
    if (__builtin_mul_overflow(bytes, factor, &bytes))
      throw input_error("context", "expected a cache below 2^63 bytes, got {} tokens in {} sequences", capacity,
                        sequences);
  if (!plan.encoded) return bytes / (capacity + kMostKept) / 2 * capacity;
  const auto [keys, values] = layouts_of(plan, c, capacity);
  return c.layers * sequences * (keys.area_bytes() + values.area_bytes());
}

}  // namespace

KvCache::KvCache(const Config& c, dim sequences, dim capacity, const KvPlan& plan)
    : layers_(c.layers),
      kv_heads_(c.kv_heads),
      head_dim_(c.head_dim),
      capacity_(capacity),
      plan_(plan),
      data_(checked_bytes(c, sequences, capacity, plan_)) {
  std::tie(key_layout_, value_layout_) = [&] {
    auto layouts = layouts_of(plan_, c, capacity);
    return std::pair(layouts.keys, layouts.values);
  }();
  length_.resize(std::size_t(sequences), 0);
}

void KvCache::truncate(dim sequence, dim length) {
  dim& now = length_.at(std::size_t(sequence));
  PITH_CHECK(length >= 0);
  if (length >= now) return;
  if (encoded() && length > 0)
    for (dim l = 0; l < layers_; ++l) {
      key_layout_.forget(key_area(l, sequence), now, length);
      value_layout_.forget(value_area(l, sequence), now, length);
    }
  now = length;
}

void KvCache::copy(dim from, dim to) {
  if (from == to) return;
  const dim heads = 2 * kv_heads_, row_bytes = head_dim_ * dim(sizeof(float));
  const dim part_bytes = data_.size_bytes() / (layers_ * sequences());
  const dim kept = length(from) * row_bytes;
  parallel_for(layers_, [&](dim l) {
    const std::byte* source = part(l, from);
    std::byte* target = part(l, to);
    if (encoded())
      std::memcpy(target, source, std::size_t(part_bytes));
    else
      for (dim h = 0; h < heads; ++h)
        std::memcpy(target + h * capacity_ * row_bytes, source + h * capacity_ * row_bytes, std::size_t(kept));
  });
  length_[std::size_t(to)] = length(from);
}

void KvCache::grow(dim sequence, dim length) {
  PITH_CHECK(!encoded() && length >= this->length(sequence) && length <= capacity_);
  length_[std::size_t(sequence)] = length;
}

void KvCache::clear() { std::fill(length_.begin(), length_.end(), 0); }

std::byte* KvCache::part(dim layer, dim sequence) {
  PITH_CHECK(layer >= 0 && layer < layers_ && sequence >= 0 && sequence < sequences());
  return data_.data() + (layer * sequences() + sequence) * (data_.size_bytes() / (layers_ * sequences()));
}

// f32: (layers, sequences, 2, kv_heads, capacity, head_dim), keys before values.
float* KvCache::keys(dim layer, dim sequence) {
  PITH_CHECK(!encoded());
  return reinterpret_cast<float*>(part(layer, sequence));
}

float* KvCache::values(dim layer, dim sequence) { return keys(layer, sequence) + kv_heads_ * capacity_ * head_dim_; }

KvArea KvCache::key_area(dim layer, dim sequence) { return {part(layer, sequence)}; }

KvArea KvCache::value_area(dim layer, dim sequence) { return {part(layer, sequence) + key_layout_.area_bytes()}; }

dim KvCache::bytes(const Config& c, dim sequences, dim capacity, const KvSpec& spec) {
  return checked_bytes(c, sequences, capacity, spec.plan(c.head_dim));
}

}  // namespace pith
