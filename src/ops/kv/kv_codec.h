// How keys and values are stored at run time: the codecs of kv_codecs.def, each one file of this folder.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "core/options.h"

namespace pith {

// One side of the cache, keys or values, of one head: blocks of `tokens` consecutive positions, and besides them what
// is kept as it came, in float16: the first positions, and the newest ones until they are read from their blocks.
//
// What a query reads depends on its position alone, never on how a run was cut into pieces: positions below
// exact_from(its own) are decoded, later ones, itself included, are exact. Prefill, decode and evaluation thus see the
// same numbers, those of generating token by token.
struct KvSide {
  dim head_dim = 0;
  dim tokens = 1;  // positions of a block; a block is encoded once it is complete
  dim block_bytes = 0;
  dim newest = 0;               // positions read exactly, a query's own included
  bool leave_together = false;  // they fill up to `newest` and then leave all at once; else one by one
  dim first = 0;                // positions of a sequence that stay exact for ever

  int bits = 0;                   // of a code
  dim group = 0;                  // values that share a scale, along the head
  dim outliers = 0;               // values of a block kept apart
  const float* levels = nullptr;  // what the codes stand for, ascending in [-1, 1]; null: evenly spaced

  // x: (tokens, head_dim), finite. Pure; `scratch` is 2 * head_dim floats.
  void (*encode)(const KvSide&, const float* x, std::byte* out) = nullptr;
  void (*decode)(const KvSide&, const std::byte* in, float* out, float* scratch) = nullptr;

  dim exact_from(dim query) const {
    if (leave_together) return query / newest * newest;
    return query + 1 > newest ? query + 1 - newest : 0;
  }
  bool keeps_exact() const { return newest > 0 || tokens > 1 || first > 0; }
  dim kept() const { return newest > tokens ? newest : tokens > 1 ? tokens : 0; }  // positions a ring must hold
  double bits_per_value() const { return 8 * double(block_bytes) / double(tokens * head_dim); }
};

struct KvPlan {
  bool encoded = false;  // false: everything in f32, as it came
  KvSide keys, values;
  bool keys_before_rope = false;  // stored as they are before the rotary embedding, which is applied when read
  bool rotated = false;           // heads of queries, keys and values are turned by the same orthogonal matrix
  std::uint64_t rotation_seed = 0;
  // How a position of so many numbers is stored that its keys and values are both made from, whenever they are read;
  // null: keys and values themselves are stored.
  KvSide (*latent)(dim width) = nullptr;
  double bits_per_value() const { return encoded ? (keys.bits_per_value() + values.bits_per_value()) / 2 : 32; }
};

struct KvCodec {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view paper;    // where it comes from
  std::vector<OptionSpec> options;
  KvPlan (*plan)(const Options& options, dim head_dim);  // Error(input) for options that do not go together
};

std::span<const KvCodec* const> all_kv_codecs();  // in the order of kv_codecs.def

// A codec with its options, from "name" or "name:option=value,option=value". By default f32.
class KvSpec {
 public:
  KvSpec() : KvSpec("f32") {}
  explicit KvSpec(std::string_view text);  // Error(input) that lists what there is
  const KvCodec& codec() const { return *codec_; }
  KvPlan plan(dim head_dim) const { return codec_->plan(options_, head_dim); }
  const std::string& text() const { return text_; }  // with the options that were given
 private:
  const KvCodec* codec_;
  Options options_;
  std::string text_;
};

}  // namespace pith
