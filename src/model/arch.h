// A model family as tables: configuration keys and tensor names, both ways, for Hugging Face and GGUF.
// Each family is one file in archs/ and one line in archs.def.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "io/gguf.h"
#include "model/config.h"
#include "model/roles.h"

namespace pith {

// "{}" stands for the layer number. An empty name: that container has no such tensor.
struct TensorName {
  Role role;
  Part part;
  std::string_view hf;      // "model.layers.{}.self_attn.q_proj.weight"
  std::string_view gguf;    // "blk.{}.attn_q.weight"
  bool rope_rows = false;   // rows are permuted between Hugging Face (halves) and GGUF (neighbours) order
  bool transposed = false;  // Hugging Face stores (in, out): Conv1D
  bool optional = false;    // may be absent, as biases always may
  bool plus_one = false;    // Hugging Face stores w - 1, GGUF w
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
};

std::span<const Arch* const> all_archs();
const Arch* find_arch(std::string_view gguf_name);
const Arch* find_arch_of_hf(std::string_view model_type);

}  // namespace pith
