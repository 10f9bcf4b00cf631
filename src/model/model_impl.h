// The inside of Model, for the files that open and export it.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "core/error.h"
#include "io/scratch.h"
#include "model/arch.h"
#include "model/model.h"
#include "ops/low_rank.h"

namespace pith {

struct Model::Impl {
  std::filesystem::path path;
  Config config;
  const Arch* arch = nullptr;

  std::vector<GgufFile> gguf;  // one, or all files of a split model in order
  std::optional<SafetensorsSet> safetensors;
  std::string hf_config, hf_generation_config;
  std::vector<std::string> notes;
  std::vector<std::function<void(Impl&)>> edits;  // that were made since it was opened, in order
  Scratch scratch;                                // tensors that are not as the weight files store them

  // Of a block that has no matrices of its own: the earlier block whose matrices it reads, those it lacks.
  std::map<dim, dim> shared;
  std::vector<ModelTensor> tensors;
  std::map<std::tuple<Role, dim, Part, dim>, std::size_t> index;  // role, layer, part, expert
  std::deque<Weight> weights;                                     // views of the matrices, for Linear
  std::deque<std::vector<float>> widened;                         // norms, biases and differences
  std::deque<LowRankTerm> differences;                            // for Linear
  RunTime run_time;
  std::map<std::string, float> act_scales;  // by name of the weight, where they are fixed
  Linear embed, pos_embed, lm_head;
  Norm output_norm;
  std::vector<Block> blocks;

  const ModelTensor* find(Role role, dim layer = -1, Part part = Part::weight, dim expert = -1) const {
    const auto at = index.find({role, layer, part, expert});
    return at == index.end() ? nullptr : &tensors[at->second];
  }

  // Read at first use: many commands never need it.
  std::once_flag tokenizer_once;
  std::optional<Tokenizer> tokenizer;
  std::optional<Error> tokenizer_fault;
  void load_tokenizer();
  bool own_tokenizer = false;  // it is not what the files say

  void release(const std::byte* data, dim bytes) const;  // see MappedFile::release
  template <class Each>
  void for_maps(Each&& each) const {  // each(const MappedFile&): the weight files
    for (const GgufFile& file : gguf) each(file.file());
    if (safetensors)
      for (const MappedFile& file : safetensors->files()) each(file);
  }
};

// Fill path, arch, config, the files and `tensors` as they are stored (role `other`); assemble does the rest.
void open_hf(const std::filesystem::path& folder, Model::Impl& out);
void open_gguf(const std::filesystem::path& path, Model::Impl& out);

// Gives the tensors their roles and order, checks what must be there and every shape (Error(input) that names the
// tensor), and builds what the forward pass sees.
void assemble(Model::Impl& model, bool hf);
// The last of that: what the forward pass sees.
void connect(Model::Impl& model);
// And again, after tensors were changed.
void wire(Model::Impl& model);

// Its rows and columns from `shape`, and whether it is a vector. Error(input) when the sizes overflow.
void set_shape(ModelTensor& t);

// See Model::inner_of.
const ModelTensor* inner_of(const Model::Impl& model, const ModelTensor& t);

// "[64, 32]"
std::string shape_text(std::span<const dim> shape);

}  // namespace pith
