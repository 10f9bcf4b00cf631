// The one forward pass: prefill and decode, evaluation and calibration.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "ops/kv/kv_store.h"

namespace pith {

// Keys and values of several sequences, each with its own length, in f32 or as a codec of ops/kv/kv_codec.h stores
// them. What a query reads of an encoded cache depends on its position alone (KvSide), so results do not depend on how
// tokens were cut into runs. When a run ends in an Error, truncate its sequences to 0.
class KvCache {
 public:
  KvCache(const Config& config, dim sequences, dim capacity, const KvSpec& spec = {})  // tokens per sequence
      : KvCache(config, sequences, capacity, spec.plan(config.head_dim)) {}
  KvCache(const Config& config, dim sequences, dim capacity, const KvPlan& plan);
  dim sequences() const { return dim(length_.size()); }
  dim capacity() const { return capacity_; }
  dim length(dim sequence) const { return length_[std::size_t(sequence)]; }
  // Forgets tokens from the end. What the codec had kept exactly of the new end's neighbourhood and has since let go
  // is from then on what its codes say.
  void truncate(dim sequence, dim length);
  void clear();
  // `to` becomes what `from` is.
  void copy(dim from, dim to);
  // Keys and values up to there were written through keys() and values(); f32 only.
  void grow(dim sequence, dim length);
  float* keys(dim layer, dim sequence);  // (kv_heads, capacity, head_dim); f32 only
  float* values(dim layer, dim sequence);
  const float* keys(dim layer, dim sequence) const { return const_cast<KvCache*>(this)->keys(layer, sequence); }
  const float* values(dim layer, dim sequence) const { return const_cast<KvCache*>(this)->values(layer, sequence); }
  dim layers() const { return layers_; }
  dim kv_heads() const { return kv_heads_; }
  dim head_dim() const { return head_dim_; }

  bool encoded() const { return plan_.encoded; }
  const KvPlan& plan() const { return plan_; }
  const KvLayout& key_layout() const { return key_layout_; }
  const KvLayout& value_layout() const { return value_layout_; }
  KvArea key_area(dim layer, dim sequence);
  KvArea value_area(dim layer, dim sequence);
  // With a plan that stores what both are made from, in place of those.
  const KvLayout& latent_layout(dim layer) const { return latent_layouts_[std::size_t(layer)]; }
  KvArea latent_area(dim layer, dim sequence) { return {part(layer, sequence)}; }

  dim size_bytes() const { return data_.size_bytes(); }
  static dim bytes(const Config& config, dim sequences, dim capacity, const KvSpec& spec = {});
  // Of a key or a value, what is kept exactly of long sequences left out.
  static double bits_per_value(const Config& config, const KvSpec& spec);

 private:
  friend class Forward;
  std::byte* part(dim layer, dim sequence);  // of one layer and sequence: keys, then values
  dim part_bytes(dim layer) const {
    return (layer_at_[std::size_t(layer) + 1] - layer_at_[std::size_t(layer)]) / sequences();
  }
  dim layers_, kv_heads_, head_dim_, capacity_;
  KvPlan plan_;
  KvLayout key_layout_, value_layout_;
  std::vector<KvLayout> latent_layouts_;
  std::vector<dim> length_;
  std::vector<dim> layer_at_;  // (layers + 1) where each layer's parts begin
  Buffer data_;
};

// The next tokens of one sequence, and which of their positions want logits.
struct Chunk {
  dim sequence = 0;  // of the cache
  std::span<const Token> tokens;
  dim logits_from = 0;  // logits for tokens[logits_from ...]; tokens.size(): none
};

// Sees the input of every linear layer; for calibration. x: (rows, cols), rows of all chunks in order.
class LinearObserver {
 public:
  virtual ~LinearObserver() = default;
  // Long inputs come in several calls, one after another.
  virtual void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) = 0;
  // The same for one expert's layers: the tokens that were sent to it.
  virtual void expert_input(Role role, dim layer, dim expert, const float* x, dim rows, dim cols) {
    static_cast<void>(expert);
    linear_input(role, layer, x, rows, cols);
  }
  // Of a factored matrix: what its inner factor gives, and its weight reads; expert: -1 where it is none's.
  virtual void factor_input(Role, dim /*layer*/, dim /*expert*/, const float* /*x*/, dim /*rows*/, dim /*cols*/) {}
  // For a tape: what linear layers give, before anything else is done with it; not where it is added to the residual
  // stream at once, and not of experts. y: (rows, cols).
  virtual void linear_output(Role, dim /*layer*/, const float* /*y*/, dim /*rows*/, dim /*cols*/) {}
  // And the residual stream between attention and feed-forward network, (rows, hidden).
  virtual void residual(dim /*layer*/, const float* /*x*/, dim /*rows*/) {}
};

// What the forward pass needs of a model; views. `of` a Model, or made by hand.
struct Network {
  const Config* config = nullptr;
  Linear embed, pos_embed, lm_head;
  Norm output_norm;
  std::span<const Block> blocks;
  const ActPlan* act = nullptr;  // of all linear layers in blocks; null: as each says itself
  static Network of(const Model& model, const ActPlan* act = nullptr);
};

class Forward {
 public:
  // Holds the workspaces (reused between calls); not to be used from two threads at once.
  // Error(input) when a matrix has not the shape that the choices ask for.
  explicit Forward(const Network& network);
  explicit Forward(const Model& model) : Forward(Network::of(model)) {}
  ~Forward();
  // Appends the chunks' tokens to the cache (Error(input) when one would pass its capacity, or a token
  // is outside the vocabulary) and calls sink(first_row, logits, rows) on successive pieces of the wanted
  // logits: (rows, vocab), in the order of chunks and positions. Logits are finite or Error names the layer.
  using LogitsSink = std::function<void(dim first_row, const float* logits, dim rows)>;
  void run(KvCache& cache, std::span<const Chunk> chunks, const LogitsSink& sink, LinearObserver* observer = nullptr);
  // The single-sequence decode step: logits of the last token, (vocab), valid until the next call.
  std::span<const float> next(KvCache& cache, std::span<const Token> tokens, dim sequence = 0);
  dim workspace_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
