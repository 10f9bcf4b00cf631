// What a model is: its choices, its tensors by role, and what it needs to run.
#pragma once
#include <string>
#include <vector>

#include "eval/token_cost.h"
#include "model/model.h"
#include "ops/kv/kv_codec.h"
#include "report/table.h"

namespace pith::report {

// Tensors of one role, part, shape and format.
struct TensorGroup {
  Role role = Role::other;
  Part part = Part::weight;
  std::string format;
  dim rows = 0, cols = 0;
  dim tensors = 0, parameters = 0, bytes = 0;
};

struct ModelSummary {
  std::string name;       // of the file or folder
  std::string container;  // "gguf", "hf"
  Config config;
  std::vector<TensorGroup> groups;  // in the order of the model
  dim tensors = 0, parameters = 0, tensor_bytes = 0, file_bytes = 0;
  dim linear_parameters = 0, linear_bytes = 0;
  std::string kv = "f32";      // how keys and values are stored
  dim kv_bytes_per_token = 0;  // in a long sequence, without what a codec keeps exactly
  dim context = 0;             // that the estimate is for
  dim run_bytes = 0;           // tensors + keys and values of `context` tokens
  TokenCost cost;
  std::optional<ZeroCount> zeros;  // of the linear layers, where they were counted
  std::string tokenizer;           // kind; empty when the model brought none
  dim tokenizer_vocab = 0;
  std::vector<std::string> notes;  // of opening it
  double bits_per_weight() const { return parameters > 0 ? 8.0 * double(tensor_bytes) / double(parameters) : 0; }
  // Against 16 bits for each parameter, as models are usually published.
  double compression_ratio() const { return tensor_bytes > 0 ? 2.0 * double(parameters) / double(tensor_bytes) : 0; }
  // Operations of the linear layers that are not with zeros: counted ones, else those that the file leaves out.
  double theoretical_ops() const { return zeros ? cost.linear_ops * (1 - zeros->share()) : cost.kept_ops; }
  double linear_bits_per_weight() const {
    return linear_parameters > 0 ? 8.0 * double(linear_bytes) / double(linear_parameters) : 0;
  }
};

// context 0: the model's own.
ModelSummary summarize(const Model& model, dim context = 0, const std::optional<KvSpec>& kv = {});
// From parts, for models that are not opened whole; the names, containers and tokenizer stay empty.
ModelSummary summarize(const Config& config, std::span<const ModelTensor> tensors, dim context, const KvSpec& kv = {});

std::string inspect_text(const ModelSummary& summary);
std::string inspect_markdown(const ModelSummary& summary);
std::string inspect_json(const ModelSummary& summary);

}  // namespace pith::report
