#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/cursor.h"
#include "io/files.h"
#include "io/json.h"
#include "io/printable.h"
#include "io/safetensors.h"
#include "io/safetensors/header.h"

namespace pith {

namespace {

constexpr dim kMaxHeaderBytes = 100'000'000;  // the reference reader's limit
constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";

// Sorted by place, the tensors must cover the data part exactly. Makes the offsets absolute.
void place_tensors(std::vector<SafeTensor>& tensors, dim data_start, dim file_bytes, const std::string& where) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
    return std::pair(a.offset_bytes, a.size_bytes) < std::pair(b.offset_bytes, b.size_bytes);
  });
  const dim data_bytes = file_bytes - data_start;
  dim expected = 0;
  for (SafeTensor& t : tensors) {
    if (t.offset_bytes != expected)
      throw input_error(where, "tensor {}: {} in the data: expected it to start at {}, got {}", printable(t.name),
                        t.offset_bytes < expected ? "overlap" : "hole", expected, t.offset_bytes);
    if (t.size_bytes > data_bytes - expected)
      throw input_error(where, "tensor {}: truncated: expected {} bytes at {}, the data has {} bytes",
                        printable(t.name), t.size_bytes, expected, data_bytes);
    t.offset_bytes = data_start + expected;
    expected += t.size_bytes;
  }
  if (expected != data_bytes)
    throw input_error(where, "expected {} bytes of data, {} trailing bytes follow", expected, data_bytes - expected);
}

SafetensorsHeader read_file(const MappedFile& file, const std::string& where) {
  Cursor in({file.data(), std::size_t(file.size_bytes())}, where);
  const auto header_bytes = in.number<std::uint64_t>("the header's length");
  if (header_bytes > std::uint64_t(kMaxHeaderBytes))
    throw input_error(where, "expected a header of at most {} bytes, got {}", kMaxHeaderBytes, header_bytes);
  SafetensorsHeader header = parse_safetensors_header(in.text(header_bytes, "the header"), where);
  place_tensors(header.tensors, in.position(), file.size_bytes(), where);
  return header;
}

struct ShardIndex {
  std::map<std::string, std::string> file_of;  // by tensor
  dim total_bytes = -1;                        // -1: not told
};

dim read_total(const nlohmann::json& index, const std::string& where) {
  const auto metadata = index.find("metadata");
  if (metadata == index.end() || !metadata->is_object() || !metadata->contains("total_size")) return -1;
  const auto& total = metadata->at("total_size");
  if (total.is_number_unsigned() && total.get<std::uint64_t>() < (std::uint64_t(1) << 63))
    return dim(total.get<std::uint64_t>());
  if (total.is_number_float()) {  // some writers divide or multiply on the way
    const double v = total.get<double>();
    if (v >= 0 && v < 0x1p53 && v == std::floor(v)) return dim(v);
  }
  throw input_error(where, "expected total_size as a number of bytes");
}

ShardIndex read_index(const std::filesystem::path& path) {
  const std::string where = path.string();
  const nlohmann::json index = parse_json(read_text_file(path), where);
  if (!index.is_object()) throw input_error(where, "expected a JSON object");
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) throw input_error(where, "expected weight_map as an object");
  ShardIndex out;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string()) throw input_error(where, "tensor {}: expected a file name", printable(name));
    const std::string& file_name = file.get_ref<const std::string&>();
    if (file_name.empty() || file_name == "." || file_name == ".." ||
        file_name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      throw input_error(where, "tensor {}: expected a plain file name beside the index, got {}", printable(name),
                        printable(file_name));
    out.file_of.emplace(name, file_name);
  }
  if (out.file_of.empty()) throw input_error(where, "expected tensors in weight_map, it is empty");
  out.total_bytes = read_total(index, where);
  return out;
}

// That shards and index tell of the same tensors.
void check_index(const ShardIndex& index, const std::vector<SafeTensor>& tensors,
                 const std::vector<std::string>& file_names, const std::string& where) {
  dim total = 0;
  std::map<std::string_view, bool> seen;
  for (const SafeTensor& t : tensors) {
    const auto at = index.file_of.find(t.name);
    const std::string& file = file_names[std::size_t(t.file)];
    if (at == index.file_of.end())
      throw input_error(where, "expected every tensor in weight_map, {} of {} is not listed", printable(t.name), file);
    if (!seen.emplace(t.name, true).second)
      throw input_error(where, "expected each tensor once, {} is repeated in {}", printable(t.name), file);
    if (at->second != file)
      throw input_error(where, "tensor {}: expected it in {}, it is in the wrong shard {}", printable(t.name),
                        printable(at->second), file);
    total += t.size_bytes;
  }
  for (const auto& [name, file] : index.file_of)
    if (!seen.count(name))
      throw input_error(where, "tensor {}: expected it in {}, that shard does not have it", printable(name),
                        printable(file));
  if (index.total_bytes >= 0 && index.total_bytes != total)
    throw input_error(where, "expected total_size {}, the shards hold {} bytes", index.total_bytes, total);
}

bool is_there(const std::filesystem::path& path) {
  std::error_code fault;
  return std::filesystem::exists(path, fault);
}

std::filesystem::path find_in_folder(const std::filesystem::path& folder) {
  for (const char* name : {kSingleName, kIndexName})
    if (is_there(folder / name)) return folder / name;
  std::vector<std::filesystem::path> found;
  std::error_code fault;
  for (std::filesystem::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault))
    if (at->path().extension() == ".safetensors") found.push_back(at->path());
  if (fault) throw environment_error(folder.string(), "listing the folder failed: {}", fault.message());
  if (found.size() != 1)
    throw input_error(folder.string(), "expected {} or {}, got a folder with {} other .safetensors files", kSingleName,
                      kIndexName, found.size());
  return found[0];
}

}  // namespace

SafetensorsSet SafetensorsSet::open(const std::filesystem::path& path) {
  if (!is_there(path)) throw environment_error(path.string(), "expected a file or folder, it is missing");
  std::error_code fault;
  const std::filesystem::path file = std::filesystem::is_directory(path, fault) ? find_in_folder(path) : path;
  if (!file.filename().string().ends_with(".index.json")) return parse(MappedFile(file), file.string());

  const ShardIndex index = read_index(file);
  std::map<std::string, int> shard_number;
  for (const auto& [name, shard] : index.file_of) shard_number.emplace(shard, 0);
  SafetensorsSet out;
  std::vector<std::string> file_names;
  for (auto& [shard, number] : shard_number) {
    const std::filesystem::path shard_path = file.parent_path() / shard;
    if (!is_there(shard_path))
      throw input_error(file.string(), "expected shard {} beside the index, it is missing", printable(shard));
    number = int(out.files_.size());
    out.files_.emplace_back(shard_path);
    file_names.push_back(shard);
    SafetensorsHeader header = read_file(out.files_.back(), shard_path.string());
    for (SafeTensor& t : header.tensors) {
      t.file = number;
      out.tensors_.push_back(std::move(t));
    }
    out.metadata_.merge(header.metadata);
  }
  check_index(index, out.tensors_, file_names, file.string());
  for (std::size_t i = 0; i < out.tensors_.size(); ++i) out.index_.emplace(out.tensors_[i].name, i);
  return out;
}

SafetensorsSet SafetensorsSet::parse(MappedFile file, std::string name) {
  SafetensorsSet out;
  SafetensorsHeader header = read_file(file, name);
  out.tensors_ = std::move(header.tensors);
  out.metadata_ = std::move(header.metadata);
  out.files_.push_back(std::move(file));
  for (std::size_t i = 0; i < out.tensors_.size(); ++i) out.index_.emplace(out.tensors_[i].name, i);
  return out;
}

const SafeTensor* SafetensorsSet::find(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? nullptr : &tensors_[at->second];
}

}  // namespace pith
