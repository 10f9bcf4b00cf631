// A model's architecture as data. One struct of choices, one forward pass; a branch per choice, never per
// model name. What a tensor's presence tells (biases, q/k norms, a separate head) is not repeated here.
#pragma once
#include <string>
#include <vector>

#include "core/base.h"

namespace pith {

enum class NormKind { rms, layer };
enum class Activation { silu, gelu_tanh, gelu_erf, relu };
enum class RopePairing { halves, neighbours };  // (i, i + n/2), Hugging Face's; (2i, 2i + 1), GGUF's for llama
// Norms of queries and keys: one weight for all heads; one for each; or one norm over all heads together.
enum class HeadNorms { shared, each, whole };
// Rows of a fused projection: all queries, all keys, all values; or by key-value head its queries, its key, its value.
enum class QkvOrder { stacked, by_head };
enum class RopeScaling { none, linear, llama3, yarn, longrope, dynamic };

struct Rope {
  bool on = true;
  dim dims = 0;  // rotated dimensions of each head, the first ones
  double base = 10000;
  RopePairing pairing = RopePairing::halves;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1;
  dim original_context = 0;                          // llama3, yarn, longrope
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double attn_factor = 1;                            // yarn, longrope: multiplies cos and sin
  double beta_fast = 32, beta_slow = 1;              // yarn
  std::vector<float> freq_factors;  // (dims / 2) divisors of the frequencies: rope_freqs.weight; longrope's short ones
  std::vector<float> long_factors;  // longrope: the divisors where more than original_context is in view
};

struct Config {
  std::string arch;  // the family's name in archs.def
  dim vocab = 0;     // rows of the embedding
  dim hidden = 0;
  dim layers = 0;
  dim heads = 0;
  dim kv_heads = 0;
  dim head_dim = 0;
  dim ffn = 0;
  dim context = 0;  // the longest sequence it was trained for

  NormKind norm = NormKind::rms;
  double norm_eps = 1e-5;
  bool norm_plus_one = false;  // weights stored as w - 1 (Hugging Face gemma)
  HeadNorms head_norms = HeadNorms::shared;
  QkvOrder qkv_order = QkvOrder::stacked;
  Activation activation = Activation::silu;
  bool gated = true;            // act(gate) * up; else act(up)
  bool parallel_block = false;  // attention and ffn read the same input
  Rope rope;
  dim position_offset = 0;  // row of the first position's embedding
  double attn_scale = 0;    // 0: 1 / sqrt(head_dim)
  double attn_softcap = 0;  // 0: none
  double logit_softcap = 0;
  double embed_scale = 1;
  double residual_scale = 1;  // granite
  double logit_scale = 1;
  dim sliding_window = 0;        // 0: none
  dim sliding_pattern = 0;       // every n-th layer is global; 0: all layers slide when a window is set
  double rope_base_sliding = 0;  // base of sliding layers when different
  dim experts = 0, experts_used = 0;
  dim expert_ffn = 0;                // width of each expert
  dim shared_ffn = 0;                // width of the expert that all tokens see; 0: none
  bool norm_expert_weights = false;  // the weights of the experts used sum to 1
  bool tied_embeddings = false;
  // Of each block the rank of the one inner factor that its keys and values share; empty: not in every block they do.
  std::vector<dim> kv_latent;
  // The inputs of down-projections are turned first (hadamard_blocks of math/rotation.h), as their weights are.
  bool rotated_down = false;
};

}  // namespace pith
