// What is to be done to a model, as data.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "formats/format.h"
#include "model/model.h"

namespace pith {

// Some of a model's matrices.
struct Selection {
  std::vector<Role> roles;  // empty: all linears
  std::vector<dim> layers;  // empty: all
  bool all() const { return roles.empty() && layers.empty(); }
  bool has(const ModelTensor& t) const;
};
// "attn_v|ffn_down@0-1,5", "*": roles at layers, all. Error(input)
Selection parse_selection(std::string_view text);
std::string selection_text(const Selection& s);  // what parse_selection reads

// A method and where. One that rotates turns the whole model first; methods that scale do so in the order of the steps;
// each matrix is then rounded by the last step that selects it and rounds.
struct Step {
  std::string method;
  std::vector<std::string> options;  // "name=value"
  Selection where;
};

// "attn_v|ffn_down@0-1,5=q6_k": these matrices get this format. The last match wins.
struct Override {
  Selection where;
  const Format* format = nullptr;
};
Override parse_override(std::string_view text);  // Error(input)
std::string override_text(const Override& o);    // what parse_override reads

// For tensors widened from a quantized source to f32, f16 or bf16: uniform noise of half a step, so that the
// source's grid does not favour equal formats.
struct Dither {
  bool on = false;
  std::uint64_t seed = 0;
};

// How much of each layer pruning drops.
struct SparsityPlan {
  enum class Kind { uniform, owl, sensitivity, global };
  Kind kind = Kind::uniform;
  double spread = 8;             // owl, sensitivity: no layer is further from the mean than so many percent
  double outlier = 5;            // owl: scores above so many times their mean
  std::optional<dim> max_bytes;  // of the weight files: the least sparsity that stays within
};

struct TargetProfile;  // compress/target_profile.h

struct Recipe {
  std::vector<Step> steps;  // what none of them rounds is rounded to nearest
  // For linears. Null: each quantized tensor keeps its values, in the smallest format of the container that has its
  // grid; dense ones stay as they are.
  const Format* format = nullptr;
  const Format* embed_format = nullptr;  // embeddings and head; null: chosen by the format (see policy.h)
  std::vector<Override> overrides;
  // Of the weight files: every matrix gets the format that serves the whole best (what `overrides` name is decided).
  std::optional<dim> max_bytes;
  bool allow_fallback = true;     // false: Error when a format does not fit a shape
  bool allow_requantize = false;  // a quantized source is refused without it (dense sources always pass)
  Dither dither;
  std::optional<std::filesystem::path> importance_file;  // llama.cpp imatrix
  // What calibrated methods see; the others take its mean squares as importance. A calibrated method without it lets
  // the model write its own text.
  std::optional<CalibrationChoice> calibration;
  bool compressed_prefix = true;  // blocks are calibrated on the outputs of the compressed blocks before them
  // And each matrix on what the compressed ones before it in its block give: q, k and v, then o, gate and up, down.
  bool true_sequential = false;
  const TargetProfile* target = nullptr;         // the program that will load the output; null: any
  std::optional<std::filesystem::path> adapter;  // LoRA, merged into the weights first
  // How the output says that the inputs of its quantized layers are rounded; unset: as the source says, where the
  // container has a place for it. Static scales come from the calibration's largest inputs.
  std::optional<ActSpec> activations;
  SparsityPlan sparsity;
  std::optional<SparseLayout> store;  // linear layers are stored without their zeros (bitmask or two_of_four)
  std::optional<KvSpec> kv;           // how the output asks for keys and values to be stored; none: as the source does
};

// "gptq", "awq+gptq": steps for all linears, with these options. Error(input)
std::vector<Step> steps_of(std::string_view chain, const std::vector<std::string>& options);
// Each to the steps whose methods know it; what none knows to the last, which will refuse it.
void give_options(std::vector<Step>& steps, const std::vector<std::string>& options);
std::string steps_text(const Recipe& recipe);  // "awq+gptq", "awq[ffn_down]+rtn"
bool needs_moments(const Recipe& recipe);      // of the inputs, for some step
bool needs_text(const Recipe& recipe);         // some step asks for calibration
bool reshapes(const Recipe& recipe);           // some step makes another model first

}  // namespace pith
