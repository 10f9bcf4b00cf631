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
  std::vector<KvLayout> latents;  // of each layer; where there are some the others are not used

  Layouts(const KvPlan& plan, const Config& c, dim capacity) {
    if (!plan.encoded) return;
    if (!plan.latent) {
      keys = KvLayout(plan.keys, c.kv_heads, capacity);
      values = KvLayout(plan.values, c.kv_heads, capacity);
      return;
    }
    for (const dim width : latent_of(c)) latents.emplace_back(plan.latent(width), 1, capacity);
  }

  static const std::vector<dim>& latent_of(const Config& c) {
    if (dim(c.kv_latent.size()) != c.layers)
      throw Error(Blame::input, "latent",
                  "expected a model whose keys and values share an inner factor in every block, they do not",
                  "pith factorize MODEL --where 'attn_k|attn_v' --set joint=true");
    return c.kv_latent;
  }
};

void check_size(const Config& c, dim sequences, dim capacity) {
  if (sequences < 1 || capacity < 1)
    throw input_error("context", "expected at least one sequence and one token, got {} and {}", sequences, capacity);
  if (capacity > std::numeric_limits<int>::max())
    throw input_error("context", "expected below 2^31 tokens, got {}", capacity);
  // Every codec takes less than twice f32 for the tokens and what it keeps besides: where that is in range, all is.
  constexpr dim kMostKept = 1 << 10;
  dim width = 0, bytes = 4 * dim(sizeof(float));
  bool over = __builtin_mul_overflow(c.kv_heads, c.head_dim, &width);
  for (const dim latent : c.kv_latent) width = std::max(width, latent);
  for (const dim factor : {c.layers, width, sequences, capacity + kMostKept})
    over = over || __builtin_mul_overflow(bytes, factor, &bytes);
  if (over)
    throw input_error("context", "expected a cache below 2^63 bytes, got {} tokens in {} sequences", capacity,
                      sequences);
}

// Of the part of one layer and one sequence.
dim part_size(const Layouts& layouts, const KvPlan& plan, const Config& c, dim layer, dim capacity) {
  if (!plan.encoded) return 2 * c.kv_heads * capacity * c.head_dim * dim(sizeof(float));
  if (plan.latent) return layouts.latents[std::size_t(layer)].area_bytes();
  return layouts.keys.area_bytes() + layouts.values.area_bytes();
}

std::vector<dim> layers_at(const Layouts& layouts, const KvPlan& plan, const Config& c, dim sequences, dim capacity) {
  std::vector<dim> at = {0};
  for (dim l = 0; l < c.layers; ++l) at.push_back(at.back() + sequences * part_size(layouts, plan, c, l, capacity));
  return at;
}

}  // namespace

KvCache::KvCache(const Config& c, dim sequences, dim capacity, const KvPlan& plan)
    : layers_(c.layers), kv_heads_(c.kv_heads), head_dim_(c.head_dim), capacity_(capacity), plan_(plan) {
  check_size(c, sequences, capacity);
  Layouts layouts(plan_, c, capacity);
  layer_at_ = layers_at(layouts, plan_, c, sequences, capacity);
  key_layout_ = layouts.keys;
  value_layout_ = layouts.values;
  latent_layouts_ = std::move(layouts.latents);
  length_.resize(std::size_t(sequences), 0);
  data_ = Buffer(layer_at_.back());
}

void KvCache::truncate(dim sequence, dim length) {
  dim& now = length_.at(std::size_t(sequence));
  PITH_CHECK(length >= 0);
  if (length >= now) return;
  if (encoded() && !plan_.latent && length > 0)
    for (dim l = 0; l < layers_; ++l) {
      key_layout_.forget(key_area(l, sequence), now, length);
      value_layout_.forget(value_area(l, sequence), now, length);
    }
  now = length;
}

void KvCache::copy(dim from, dim to) {
  if (from == to) return;
  const dim heads = 2 * kv_heads_, row_bytes = head_dim_ * dim(sizeof(float));
  const dim kept = length(from) * row_bytes;
  parallel_for(layers_, [&](dim l) {
    const std::byte* source = part(l, from);
    std::byte* target = part(l, to);
    if (encoded())
      std::memcpy(target, source, std::size_t(part_bytes(l)));
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
  return data_.data() + layer_at_[std::size_t(layer)] + sequence * part_bytes(layer);
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
  check_size(c, sequences, capacity);
  const KvPlan plan = spec.plan(c.head_dim);
  return layers_at(Layouts(plan, c, capacity), plan, c, sequences, capacity).back();
}

double KvCache::bits_per_value(const Config& c, const KvSpec& spec) {
  const KvPlan plan = spec.plan(c.head_dim);
  if (!plan.latent) return plan.bits_per_value();
  dim bytes = 0;
  for (const dim width : Layouts::latent_of(c)) bytes += plan.latent(width).block_bytes;
  return 8 * double(bytes) / double(2 * c.layers * c.kv_heads * c.head_dim);
}

}  // namespace pith
