// A model family as tables: configuration keys and tensor names, both ways, for Hugging Face and GGUF.
// Each family is one file in archs/ and one line in archs.def.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "io/gguf.h"
#include "model/config.h"
#include "model/config_keys.h"
#include "model/roles.h"

namespace pith {

// "{}" stands for the layer number, a second one for the expert (GGUF stacks all experts of a layer in one tensor). An
// empty name: that container has no such tensor.
struct TensorName {
  Role role;
  Part part;
  std::string_view hf;        // "model.layers.{}.self_attn.q_proj.weight"
  std::string_view gguf;      // "blk.{}.attn_q.weight"
  bool rope_rows = false;     // rows are permuted between Hugging Face (halves) and GGUF (neighbours) order
  bool transposed = false;    // Hugging Face stores (in, out): Conv1D
  bool optional = false;      // may be absent, as biases always may
  bool plus_one = false;      // Hugging Face stores w - 1, GGUF w
  bool by_head = false;       // rows are in QkvOrder::by_head in Hugging Face's order, stacked in GGUF's
  Role beside = Role::other;  // the name is for models that have this role, too
};

struct Arch {
  std::string_view name;                             // GGUF general.architecture
  std::span<const std::string_view> hf_model_types;  // config.json "model_type" values that it reads
  std::string_view hf_architecture;                  // what is written as config.json "architectures"
  std::span<const TensorName> tensors;
  // What differs from the common keys (config_hf.h, config_gguf.h), which were read or written before. Both
  // directions throw Error(input) naming the key when the other side cannot say the same.
  void (*from_hf)(const nlohmann::json& config, Config& out);
  void (*from_gguf)(const GgufMeta& meta, Config& out);
  void (*to_hf)(const Config& config, nlohmann::json& out);
  void (*to_gguf)(const Config& config, GgufMeta& out);
  // Where config.json says what the tensors show: biases of the projections, norms of queries and keys.
  std::string_view hf_bias_key = "attention_bias";
  std::string_view hf_head_norm_key = "";
  std::string_view hf_norm_count_key = "";  // norms before a parallel block: 1, or 2 with attn_norm_2
  std::string_view hf_prefix = "";          // of the tensors' names; some files leave it out
  std::span<const SizeName> hf_sizes = {};  // sizes with other names than most families'
  bool experts = false;                     // of the families of one name: the one with experts
};

std::span<const Arch* const> all_archs();
const Arch* find_arch(std::string_view gguf_name, bool experts = false);
const Arch* find_arch_of_hf(std::string_view model_type);

}  // namespace pith
