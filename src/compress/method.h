// A compression method: which values to choose. It maps one weight to another and knows no model names;
// it opens no file, starts no thread and prints nothing. Each is one file in quantize/, prune/, lowrank/ or
// distill/ and one line in methods.def.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compress/calibrate/calibration_text.h"
#include "compress/input_stats.h"
#include "core/options.h"
#include "core/progress.h"
#include "formats/sparse.h"
#include "model/forward.h"
#include "model/roles.h"
#include "ops/act/act_codec.h"

namespace pith {

// What a method makes once of a matrix's inputs, for all its rows; read by many threads.
struct LayerState {
  std::string note;  // what had to be done differently; goes into the report
  virtual ~LayerState() = default;
};

// What a method is given: some rows of one matrix, in f32.
struct LayerTask {
  const float* source = nullptr;  // (rows, cols)
  dim rows = 0, cols = 0;
  const Format* format = nullptr;     // the target's
  const float* importance = nullptr;  // (cols) mean squared input, or null when nothing was measured
  std::byte* out = nullptr;           // rows * row_bytes(*format, cols), to be filled
  const LayerState* state = nullptr;  // of `prepare`; null where nothing was measured: then it rounds to nearest
  Role role = Role::other;
  // Where the method keeps `outliers` values of each row apart: (rows, outliers) each, to be filled: columns,
  // ascending, and what is to be added to the decoded row there, as float16 holds it (keep_apart in
  // quantize/outliers.h).
  dim outliers = 0;
  std::int32_t* outlier_columns = nullptr;
  float* outlier_values = nullptr;
  const float* fisher = nullptr;  // (rows, cols) squared gradients of each value, up to a factor, or null
  dim first_row = 0;              // of these rows in the matrix
};

// A matrix as a whole; of several that read the same input, for methods that scale its columns.
struct ScaledMatrix {
  dim rows = 0, cols = 0;
  const Format* format = nullptr;                // the target's
  const InputStats* stats = nullptr;             // shared by some, or each its own (experts); null: nothing measured
  std::function<void(dim row, float* to)> load;  // (cols); from any thread
  dim outliers = 0;                              // of each row, kept apart
  Role role = Role::other;
  ActPlan act = {};                    // how the input will be rounded
  const LayerState* shared = nullptr;  // what `prepare` made of the inputs
};

// One of a block's matrices for methods that see the block whole. Rows are in the order that the forward pass knows.
struct BlockMatrix {
  Role role = Role::other;
  dim rows = 0, cols = 0;
  const Format* format = nullptr;
  std::function<void(dim row, float* to)> load;  // what was rounded, (cols); from any thread
  std::byte* encoded = nullptr;                  // what it was rounded to; may be changed
};

// One of its norms: of its weights, w or w - 1 as the choices say, w is to be multiplied by `factors` (empty: 1).
struct BlockNorm {
  const Norm* norm = nullptr;  // in the block
  std::span<const float> values;
  std::vector<float> factors = {};
};

// A block after its matrices were rounded, and what it should compute.
struct BlockTask {
  Network network;         // its block `layer` is as it was rounded
  Block* block = nullptr;  // the same; its views may be pointed elsewhere, and are put back by the caller
  dim layer = 0;
  std::span<BlockMatrix> matrices;
  std::span<BlockNorm> norms;
  // Of each sample, (length, hidden): what the compressed blocks before give, and what the original block makes of what
  // the original ones before give.
  std::span<const dim> lengths;
  std::function<void(std::size_t sample, float*to)> input, target;
  std::uint64_t seed = 0;
  Progress* progress = nullptr;
  std::string note;  // what came of it; for the report
};

// A model that is to become another one.
struct ReshapeTask {
  const Model& source;  // what the recipe began with
  const Model& model;   // what the steps before made of it
  // Drawn at the first call. Error(input) as calibration_tokens.
  std::function<const CalibrationTokens&()> tokens;
  Progress& progress;
};

// Of the inputs: no statistics; all of InputStats; or a calibration text, and of the statistics no X^T X.
enum class Needs { nothing, moments, text };

struct Method {
  std::string_view name;
  std::string_view family;   // "quantization", "pruning", ...
  std::string_view summary;  // one line
  std::string_view paper;    // where it comes from
  std::vector<OptionSpec> options;
  Needs needs = Needs::nothing;
  // Once per matrix (matrices of one format that read the same input share it); null where nothing is needed.
  std::unique_ptr<LayerState> (*prepare)(const InputStats& stats, const Format& format,
                                         const Options& options) = nullptr;
  // The same once for each matrix, with its weights; null where `prepare` knows enough.
  std::unique_ptr<LayerState> (*prepare_matrix)(const ScaledMatrix& matrix, const Options& options) = nullptr;
  // How many values of a row of a linear layer are kept apart in float16; null: none.
  OutlierShape (*outliers)(const Format& format, dim cols, const Options& options) = nullptr;
  // Whether LayerTask::fisher is wanted; null: no. It is measured on a calibration text.
  bool (*fisher)(const Options& options) = nullptr;
  // The matrix is stored between random rotations of this seed (ops/turn.h): `prepare` and `layer` see it, and its
  // inputs' moments, turned. Null: as it is.
  std::uint64_t (*turn)(const Options& options) = nullptr;
  // A pruning method: how many values it leaves of a matrix. It works on linear layers only, in dense formats too, and
  // its `prepare_matrix` is asked without a calibration as well. Null: it is none.
  dim (*kept)(dim rows, dim cols, const Options& options) = nullptr;
  // Called for different rows at the same time; what it does to a row must not depend on the others.
  void (*layer)(const LayerTask& task, const Options& options) = nullptr;
  // Before a block is rounded, for each input that some of its matrices read: positive factors for their columns, by
  // which what makes the input is divided (compress/fold); empty: none.
  std::vector<float> (*scale)(std::span<const ScaledMatrix> matrices, const Options& options) = nullptr;
  // After a block was rounded by the steps before: changes codes and ranges of its matrices, or its norms, to bring its
  // output nearer to the original's.
  void (*block)(BlockTask& task, const Options& options) = nullptr;
  // Before all else the model becomes another one: turned, or with parts taken out. The sources of weights are then
  // that one's.
  Model (*reshape)(const ReshapeTask& task, const Options& options) = nullptr;
  // Whether pith alone can run what this method makes; null: no.
  bool (*ours_alone)(const Options& options) = nullptr;
  bool prepares() const { return scale || reshape; }  // another method may follow
};

std::span<const Method* const> all_methods();
const Method& method_or_throw(std::string_view name);

}  // namespace pith
