// From a model and a recipe to verified files: preflight -> per block: load, solve, check finite, encode,
// append, journal -> verify by reopening -> rename into place.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "compress/method.h"
#include "core/progress.h"
#include "model/export.h"

namespace pith {

// "attn_v|ffn_down@0-1,5=q6_k": roles (or *) at layers (or all) get this format. The last match wins.
struct Override {
  std::vector<Role> roles;  // empty: all linears
  std::vector<dim> layers;  // empty: all
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

struct TargetProfile;  // compress/target_profile.h

struct Recipe {
  std::string method = "rtn";
  std::vector<std::string> method_options;  // "name=value"
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
  bool compressed_prefix = true;          // blocks are calibrated on the outputs of the compressed blocks before them
  const TargetProfile* target = nullptr;  // the program that will load the output; null: any
  std::optional<std::filesystem::path> adapter;  // LoRA, merged into the weights first
};

struct RunLimits {
  std::optional<dim> max_ram_bytes;
  bool overwrite = false;
  bool resume = false;
};

struct TensorPlan {        // one row of the preflight table
  std::size_t source = 0;  // into Model::tensors()
  std::string name;
  Role role;
  dim layer, rows, cols;
  const Format* from;
  const Format* to;
  const Format* wanted;  // differs from `to` where it fell back
  std::string why;       // why it fell back or was left alone
  dim bytes_before, bytes_after;
};

struct Preflight {
  std::vector<TensorPlan> tensors;
  dim output_bytes = 0;
  dim peak_ram_bytes = 0;  // predicted
  double seconds = 0;      // predicted, from a short trial encode on the first matrix
  dim disk_free_bytes = 0;
  std::vector<std::string> notes;  // what opening the model and checking the target have to say
};

struct TensorOutcome {
  std::string name;
  Role role;
  dim layer;
  const Format* format;
  double rmse;            // against the source values
  double relative_error;  // ||w - w'||_F / ||w||_F
  double sqnr_db;
  dim bytes;
  std::string note;  // what the method had to do differently
};

struct Outcome {
  Preflight preflight;
  std::vector<TensorOutcome> tensors;
  double seconds = 0;
  dim peak_ram_bytes = 0;  // measured, of this process
  std::string source_hash, output_hash;
  dim output_bytes = 0;  // of the weight files as written
  dim calibration_tokens = 0;
};

Preflight preflight(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                    Progress& progress = no_progress());
// Throws Error before work when disk, RAM or a shape will not do. The result was verified by reopening.
Outcome compress(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                 const RunLimits& limits, Progress& progress = no_progress());

}  // namespace pith
