// Where each tensor of a model goes in the files of a target container, with all other contents of those
// files. Everything is known before any weight is touched, so bytes are predicted exactly.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/sparse.h"
#include "model/model.h"

namespace pith {

// A GGUF file; or a Hugging Face folder whose packed layers are laid out as compressed-tensors (hf), GPTQ, AWQ,
// bitsandbytes or MLX store them (model/exchange/), or as pith encodes them, in any format.
enum class Container { gguf, hf, gptq, awq, bnb, mlx, pith };

struct Layout;  // model/exchange/layout.h

// A run of bytes of a staged file that one tensor fills.
struct Slot {
  std::size_t file = 0;  // into ExportPlan::files
  std::string name;      // the tensor's name in that file
  dim offset_bytes = 0;
  dim size_bytes = 0;
  bool act_scale = false;  // an f32: the fixed scale of the layer's input, which the rows do not tell
};

// One tensor's way out. `rows_from[r]` is the source row that becomes target row r (empty: unchanged).
struct ExportTensor {
  std::size_t source = 0;          // into Model::tensors()
  const Format* format = nullptr;  // what it is stored as
  std::vector<dim> rows_from;
  float add = 0;  // added to every value on the way (gemma's norms)
  bool transpose = false;
  const Layout* layout = nullptr;          // of a packed layer in a Hugging Face folder; null: rows as they are encoded
  std::vector<Slot> slots;                 // one, or a packed layer's parts
  OutlierShape outliers = {};              // kept apart, rows in the target's order
  std::optional<SparseShape> sparse = {};  // zeros are left out
  std::optional<Slot> outlier_columns = {}, outlier_values = {};
  std::shared_ptr<const Turn> turn = {};  // the rows are those of the matrix between these rotations
  template <class Each>
  void for_slots(const Each& each) const {  // all of them
    for (const Slot& slot : slots) each(slot);
    if (outlier_columns) each(*outlier_columns);
    if (outlier_values) each(*outlier_values);
  }
};

struct ExportFile {
  std::string name;  // inside the target folder; for a GGUF the target's own name
  // Bytes at offset 0. They may reach into the tensors' data: small tensors that have no source of their own or whose
  // elements move (rope_freqs.weight, biases of rotated rows) lie at its start, and are in no ExportTensor.
  std::string head;
  dim total_bytes = 0;
};

struct SideFile {  // config.json, tokenizer.json, ...
  std::string name;
  std::string text;
};

struct ExportPlan {
  Container container = Container::gguf;
  std::vector<ExportFile> files;
  std::vector<ExportTensor> tensors;  // block by block
  std::vector<SideFile> side_files;
  RunTime run_time;
  dim total_bytes() const;
};

// format_of[i]: the format for model.tensors()[i] (null: leave this tensor out). Vectors are f32 in GGUF whatever is
// asked. Error(input) when the container cannot hold a choice (an int group in GGUF, a k-quant in a Hugging Face
// folder, a tensor that the family's table does not know in the other container, activations where the container has no
// place for them). outliers_of: as long, or empty; only GGUF and pith's own folders hold outliers, since other readers
// of folders would overlook them. turn_of: as long, or empty; the seed of rotations that a matrix will be stored
// between. Only pith's own folders say that; of sources that are turned they are a copy. sparse_of: as long, or empty;
// how zeros are left out, in pith's own folders.
ExportPlan plan_export(const Model& model, Container container, std::span<const Format* const> format_of,
                       std::string_view target_name, dim max_shard_bytes = dim(5) << 30,
                       std::span<const OutlierShape> outliers_of = {}, const RunTime& run_time = {},
                       std::span<const std::optional<std::uint64_t>> turn_of = {},
                       std::span<const std::optional<SparseShape>> sparse_of = {});

// Whether the container stores this tensor in this format: empty, or what it expects instead.
std::string misfit(Container container, const Format& format, const ModelTensor& t);

std::string_view container_name(Container container);  // "gguf", "hf", "gptq", ...
Container container_or_throw(std::string_view name);   // Error(input) that lists the names
inline bool is_folder(Container c) { return c != Container::gguf; }

// Turns a tensor's encoded rows (rows * row_bytes(format, cols) bytes, target row order) into the bytes of its
// slots; emit is called once per slot, in order, but for act_scale.
void lay_out(const ExportTensor& t, dim rows, dim cols, std::span<const std::byte> encoded,
             const std::function<void(const Slot&, std::span<const std::byte>)>& emit);

}  // namespace pith
