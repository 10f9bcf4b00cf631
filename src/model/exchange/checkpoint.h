// Reading the packed linear layers of a Hugging Face folder: what all layouts share.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "io/scratch.h"
#include "model/json_keys.h"
#include "model/model.h"

namespace pith {

// The layers as they are found. Beside the result, which is set aside, a reader needs no more memory than one layer.
struct Unpacked {
  std::vector<ModelTensor> tensors;         // named "....weight"
  std::set<std::string, std::less<>> used;  // stored tensors that need no other reader
  std::vector<std::string> notes;           // what a user should know, each once
  std::string activations;                  // how inputs are rounded, as ActSpec reads it; empty: not at all
  std::map<std::string, float> act_scales;  // by name of the weight, where they are fixed
  Scratch scratch;                          // the tensors' bytes
  void note(std::string text);              // unless it is there
  void keep(ModelTensor& t);                // moves what it owns to `scratch`
  // This stored tensor, if it is there, has been read: no other reader needs it, nor its pages.
  void done(const SafetensorsSet& files, const std::string& name);
};

// Dispatches on config.json's quantization_config (or MLX's quantization). Error(input) that names the key or the
// tensor, when the layout is unknown or damaged. `legacy`: the text of quantize_config.json, or empty.
Unpacked unpack_layers(const nlohmann::json& config, const std::string& legacy, const SafetensorsSet& files);

// The readers, one file each. `quantization`: the object that describes it.
void unpack_gptq(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_awq(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_fp8(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_bitsandbytes(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_mlx(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_pith_rows(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
void unpack_compressed_tensors(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);

inline constexpr std::string_view kActivationsNote =
    "the checkpoint quantizes activations in a way that is not known here; its weights multiply them as they are";

// One FP8 layer, for layouts that hold such; `block`: rows and columns that share a scale where it is a matrix.
struct Fp8Block {
  dim rows = 0, cols = 0;
};
ModelTensor read_fp8(const SafetensorsSet& files, const SafeTensor& weight, const SafeTensor& scale,
                     const Fp8Block& block, Unpacked& out);

// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.qweight"
std::string module_of(const SafeTensor& t, std::string_view suffix);
// The tensor base + suffix. Error(input) when it is missing.
const SafeTensor& companion(const SafetensorsSet& files, const std::string& base, std::string_view suffix);
void expect_shape(const SafeTensor& t, std::string_view dtype, const std::vector<dim>& shape);
// A matrix of this type whose sizes are from 1 to 2^31.
void expect_matrix(const SafeTensor& t, std::string_view dtype);
// Error(input) unless F16, BF16 or F32.
void expect_float(const SafeTensor& t, const std::vector<dim>& shape);
float float_at(const SafetensorsSet& files, const SafeTensor& t, dim i);

}  // namespace pith
