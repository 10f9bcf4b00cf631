// An opened model: its choices, its tensors (views into the maps it owns) and its tokenizer. Both the
// forward pass and the compressor read it from here.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/weight.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/tokenizer.h"
#include "model/config.h"
#include "model/roles.h"
#include "model/run_time.h"
#include "ops/panel_weight.h"
#include "ops/turn.h"

namespace pith {

struct Arch;         // model/arch.h
struct LowRankTerm;  // ops/low_rank.h

// One logical tensor. Vectors have rows == 1. `weight.data` may be a view into a map.
struct ModelTensor {
  std::string name;  // as the source file calls it
  Role role = Role::other;
  Part part = Part::weight;
  dim layer = -1;   // -1: outside the blocks
  dim expert = -1;  // one expert's slice of a stacked tensor
  dim readers = 1;  // blocks that multiply by it; its `layer` is the first of them
  Encoded weight;
  std::optional<Sparse> outliers;    // to be added to `weight`
  std::optional<Sparse> sparse;      // what is stored instead: then `weight` has no data, and the format of its codes
  std::shared_ptr<const Turn> turn;  // `weight` is the matrix between these rotations; null: it is the matrix
  bool vector = false;               // stored with at most one dimension
  std::vector<dim> shape;  // as stored, slowest dimension first; weight has the product of all but the last as rows
};

// Row `row` of a tensor, (cols), outliers added; of a turned one as it is stored.
void decode_row(const ModelTensor& t, dim row, float* out);
dim bytes_of(const ModelTensor& t);  // outliers included
// One of the two thin matrices whose product is a block's own difference from a shared matrix.
inline bool is_difference(const ModelTensor& t) { return t.part == Part::difference_a || t.part == Part::difference_b; }
// Of a linear layer, no vector, no bias and no difference: the matrix, or one of its two factors.
inline bool is_linear_matrix(const ModelTensor& t) {
  return is_linear(t.role) && !t.vector && t.part != Part::bias && !is_difference(t);
}

// A matrix and its bias as the forward pass sees them; weight == null: absent.
struct Linear {
  const Weight* weight = nullptr;
  const float* bias = nullptr;            // (rows)
  const ActPlan* act = nullptr;           // how its input is rounded; null: not at all
  float act_scale = 0;                    // where the plan has it fixed
  const Turn* turn = nullptr;             // as ModelTensor::turn
  const PanelWeight* panels = nullptr;    // the weight as fast products read it; null: products in f32
  const LowRankTerm* low_rank = nullptr;  // an adapter that is being learned, or a difference; null: none
  // Of a factored matrix, weight * inner: (rank, cols), while `weight` is (rows, rank); null: it is not factored.
  const Weight* inner = nullptr;
  const PanelWeight* inner_panels = nullptr;  // as `panels`
};
dim rows_of(const Linear& linear);
dim cols_of(const Linear& linear);

// Norm weights and biases widened to f32 once at load (they are small).
struct Norm {
  const float* weight = nullptr;  // (hidden) or (head_dim); null: absent
  const float* bias = nullptr;
};

// The feed-forward network of one expert.
struct Expert {
  Linear gate, up, down;
};

struct Block {
  Norm attn_norm, ffn_norm, attn_post_norm, ffn_post_norm, q_norm, k_norm;
  Linear q, k, v, qkv, o, gate, up, gate_up, down;
  Linear router, shared_router;  // shared_router: (1, hidden), how much of `shared` each token gets
  std::vector<Expert> experts;
  Expert shared;
};
Linear* find_linear(Block& block, Role role, dim expert = -1);  // null where no such matrix lies in a block
// In all linear layers of the block that read it: several may share one inner factor.
void replace_inner(Block& block, const Weight* before, const Weight* now);

class Model {
 public:
  // A Hugging Face folder, or a .gguf file. Error(input) that names the file, the tensor or the key.
  static Model open(const std::filesystem::path& path);
  struct Impl;  // model/model_impl.h, for opening and export
  // The model opened anew, after `edit` changed tensors that have their roles already; one that was edited before is
  // edited so again first. The same edit of the same model must do the same.
  static Model edited(const Model& model, std::function<void(Impl&)> edit);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const Config& config() const;
  const Arch& arch() const;
  std::span<const ModelTensor> tensors() const;  // embeddings, blocks in order, output norm, head
  // A matrix that blocks share is found for each of them; its `layer` is that of the first.
  const ModelTensor* find(Role role, dim layer, Part part = Part::weight, dim expert = -1) const;
  // The inner factor of a matrix, its own or that of the one it shares its input with; null: it is not factored.
  const ModelTensor* inner_of(const ModelTensor& weight) const;
  const Tokenizer& tokenizer() const;  // Error(input) when the model brought none
  bool has_tokenizer() const;
  bool own_tokenizer() const;  // an edit made it; the files have another

  const Linear& embed() const;      // (vocab, hidden)
  const Linear& pos_embed() const;  // (context, hidden); weight null when absent
  const Linear& lm_head() const;    // the embedding itself when tied
  const Norm& output_norm() const;
  const RunTime& run_time() const;
  std::span<const Block> blocks() const;

  const std::filesystem::path& path() const;
  bool is_gguf() const;
  const GgufMeta* gguf_meta() const;     // null for Hugging Face folders
  const std::string& hf_config() const;  // config.json's text; empty for GGUF
  const std::string& hf_generation_config() const;
  std::span<const std::string> notes() const;  // what opening changed: layers decoded, odd conventions
  // Pages of this tensor will not be needed soon (see MappedFile::release).
  void release(const ModelTensor& t) const;
  dim file_bytes() const;  // all weight files together
  // XXH3 (io/content_hash.h) over tensor names, configuration, and sizes and contents of the weight files. `stop` ends
  // it early, with an empty result.
  std::string source_hash(std::stop_token stop = {}) const;
  // SHA-256 over names, configuration, and sizes, change times, first and last bytes of the weight files: quick, for
  // runs on one machine.
  std::string source_stamp() const;

  const Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
