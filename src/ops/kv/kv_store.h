// The memory of one side (keys or values) of one layer and sequence: for each head its blocks, then a ring of the
// newest positions, then the first positions; the latter two in float16.
#pragma once
#include "core/buffer.h"
#include "ops/kv/kv_codec.h"

namespace pith {

// Positions [first_position, first_position + count) of a run as they came: head h of position p at
// x + (p - first_position) * stride + h * head_dim. What is kept exactly has been through `round_kept`.
struct KvRows {
  const float* x = nullptr;
  dim stride = 0;
  dim first_position = 0;
  dim count = 0;
};

struct KvArea {
  std::byte* data = nullptr;  // (heads, KvLayout::head_bytes)
};

class KvLayout {
 public:
  KvLayout() = default;
  KvLayout(const KvSide& side, dim heads, dim capacity);
  const KvSide& side() const { return side_; }
  dim heads() const { return heads_; }
  dim head_bytes() const { return first_at_ + first_ * 2 * side_.head_dim; }
  dim area_bytes() const { return heads_ * head_bytes(); }

  // Where sides keep anything exactly: x becomes what float16 holds, so that results do not depend on when a position
  // is read.
  void round_kept(float* x, dim n) const;
  // Encodes the blocks that the rows complete and keeps the first positions; the ring must hold what came before.
  void append(KvArea area, const KvRows& rows, Buffer& scratch) const;
  // Puts the rows into the ring; what they push out is lost.
  void keep_newest(KvArea area, const KvRows& rows) const;
  // After positions [to, from) were forgotten: positions that the ring no longer has are decoded into it. They were
  // exact when the sequence had that length, and are what their blocks say from now on.
  void forget(KvArea area, dim from, dim to) const;

  // Positions [from, to) of a head from their blocks, `from` at the beginning of one and `to` at the end of one; to
  // out, (to - from, head_dim). scratch: 2 * head_dim.
  void read_encoded(KvArea area, dim head, dim from, dim to, float* out, float* scratch) const;
  // The same for positions that are exact: of the ring, or of the rows that are being added.
  void read_exact(KvArea area, dim head, dim from, dim to, const KvRows& rows, float* out) const;

 private:
  std::byte* head_at(KvArea area, dim head) const { return area.data + head * head_bytes(); }
  std::byte* ring_at(KvArea area, dim head, dim position) const;
  void encode_block(KvArea area, dim head, dim block, const KvRows& rows, float* gathered) const;

  KvSide side_;
  dim heads_ = 0, capacity_ = 0, ring_ = 0, first_ = 0;
  dim ring_at_ = 0, first_at_ = 0;  // bytes from the beginning of a head
};

}  // namespace pith
