// safetensors files, single or sharded (huggingface/safetensors README, "Format").
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"  // FileLayout
#include "io/mapped_file.h"

namespace pith {

struct SafeTensor {
  std::string name;
  std::string dtype;       // as stored: "F32", "BF16", "I32", ...
  std::vector<dim> shape;  // row-major, slowest dimension first
  dim offset_bytes = 0;    // from the start of its file
  dim size_bytes = 0;
  int file = 0;  // which shard
};

// One or more mapped files whose headers were checked whole: lengths, overlaps, holes, shapes against
// sizes, trailing bytes, duplicates; for a sharded model also index <-> shards <-> total_size.
class SafetensorsSet {
 public:
  // A folder (model.safetensors, or model.safetensors.index.json and its shards) or one .safetensors file.
  static SafetensorsSet open(const std::filesystem::path& path);
  static SafetensorsSet parse(MappedFile file, std::string name);  // for tests and fuzzing
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  const SafeTensor* find(std::string_view name) const;
  const std::byte* data(const SafeTensor& t) const { return files_[std::size_t(t.file)].data() + t.offset_bytes; }
  const std::vector<MappedFile>& files() const { return files_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // "__metadata__" of all files

 private:
  std::vector<MappedFile> files_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

dim dtype_bits(std::string_view dtype);  // 0 when unknown

struct ShardLayout {
  std::string file_name;             // model.safetensors, or model-00001-of-00003.safetensors
  std::vector<std::size_t> tensors;  // indices into the tensors given, in file order
  FileLayout layout;                 // offsets in the order of `tensors`
};
struct SafetensorsLayout {
  std::vector<ShardLayout> shards;
  std::string index_json;  // model.safetensors.index.json; empty when there is one shard
};
// Split in the order given (block by block), where a shard would pass max_shard_bytes. Within a shard the wider
// dtypes come first, each in the order given, so that every tensor is aligned; the format allows no padding.
SafetensorsLayout safetensors_layout(std::span<const SafeTensor> tensors, dim max_shard_bytes);

}  // namespace pith
