#include "ops/kv/kv_store.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "kernels/decode.h"
#include "ops/kv/half_bytes.h"
#include "ops/parts.h"

namespace pith {

KvLayout::KvLayout(const KvSide& side, dim heads, dim capacity)
    : side_(side),
      heads_(heads),
      capacity_(capacity),
      ring_(std::min(side.kept(), capacity)),
      first_(std::min(side.first, capacity)),
      ring_at_(capacity / side.tokens * side.block_bytes),
      first_at_(ring_at_ + ring_ * 2 * side.head_dim) {
  PITH_CHECK(!side.leave_together || (side.newest > 0 && side.newest % side.tokens == 0));
  PITH_CHECK(side.tokens == 1 || side.leave_together);
}

std::byte* KvLayout::ring_at(KvArea area, dim head, dim position) const {
  return head_at(area, head) + ring_at_ + position % ring_ * 2 * side_.head_dim;
}

void KvLayout::round_kept(float* x, dim n) const {
  if (!side_.keeps_exact()) return;
  for (dim i = 0; i < n; ++i) x[i] = to_finite_half(x[i]);
}

void KvLayout::encode_block(KvArea area, dim head, dim block, const KvRows& rows, float* gathered) const {
  const dim begin = block * side_.tokens;
  const float* x = rows.x + (begin - rows.first_position) * rows.stride + head * side_.head_dim;
  if (side_.tokens > 1) {
    read_exact(area, head, begin, begin + side_.tokens, rows, gathered);
    x = gathered;
  }
  side_.encode(side_, x, head_at(area, head) + block * side_.block_bytes);
}

void KvLayout::append(KvArea area, const KvRows& rows, Buffer& scratch) const {
  const dim end = rows.first_position + rows.count;
  const dim begin_block = rows.first_position / side_.tokens, blocks = end / side_.tokens - begin_block;
  const dim block_values = side_.tokens * side_.head_dim;
  scratch.reserve(num_threads() * block_values * dim(sizeof(float)));
  parallel_parts(heads_ * blocks, grain_of(8 * block_values), [&](dim part, dim from, dim to) {
    float* gathered = scratch.as<float>() + part * block_values;
    for (dim i = from; i < to; ++i) encode_block(area, i / blocks, begin_block + i % blocks, rows, gathered);
  });
  for (dim p = rows.first_position; p < std::min(end, first_); ++p)
    for (dim h = 0; h < heads_; ++h)
      kernels::decode_kernels().to_f16(rows.x + (p - rows.first_position) * rows.stride + h * side_.head_dim,
                                       side_.head_dim, head_at(area, h) + first_at_ + p * 2 * side_.head_dim);
}

void KvLayout::keep_newest(KvArea area, const KvRows& rows) const {
  const dim skip = std::max<dim>(0, rows.count - ring_);
  for (dim i = skip; i < rows.count; ++i)
    for (dim h = 0; h < heads_; ++h)
      if (ring_ > 0)
        kernels::decode_kernels().to_f16(rows.x + i * rows.stride + h * side_.head_dim, side_.head_dim,
                                         ring_at(area, h, rows.first_position + i));
}

void KvLayout::forget(KvArea area, dim from, dim to) const {
  // The ring holds [from - ring, from) and shall hold [to - ring, to); what it lacks lies in complete blocks, since a
  // block is no longer than the ring.
  const dim begin = std::max<dim>(0, to - ring_), end = std::min(to, from - ring_), tokens = side_.tokens;
  if (ring_ == 0 || begin >= end) return;
  std::vector<float> block(std::size_t(tokens * side_.head_dim)), scratch(std::size_t(2 * side_.head_dim));
  for (dim h = 0; h < heads_; ++h)
    for (dim at = begin / tokens * tokens; at < end; at += tokens) {
      read_encoded(area, h, at, at + tokens, block.data(), scratch.data());
      for (dim p = std::max(at, begin); p < std::min(at + tokens, end); ++p)
        kernels::decode_kernels().to_f16(block.data() + (p - at) * side_.head_dim, side_.head_dim, ring_at(area, h, p));
    }
}

void KvLayout::read_encoded(KvArea area, dim head, dim from, dim to, float* out, float* scratch) const {
  const std::byte* base = head_at(area, head);
  for (dim b = from / side_.tokens; b < to / side_.tokens; ++b)
    side_.decode(side_, base + b * side_.block_bytes, out + (b * side_.tokens - from) * side_.head_dim, scratch);
  for (dim p = from; p < std::min(to, first_); ++p)
    kernels::decode_kernels().f16(base + first_at_ + p * 2 * side_.head_dim, side_.head_dim,
                                  out + (p - from) * side_.head_dim);
}

void KvLayout::read_exact(KvArea area, dim head, dim from, dim to, const KvRows& rows, float* out) const {
  for (dim p = from; p < to; ++p, out += side_.head_dim) {
    if (p < rows.first_position)
      kernels::decode_kernels().f16(ring_at(area, head, p), side_.head_dim, out);
    else
      std::copy_n(rows.x + (p - rows.first_position) * rows.stride + head * side_.head_dim, side_.head_dim, out);
  }
}

}  // namespace pith
