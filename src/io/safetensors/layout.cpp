#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/printable.h"
#include "io/safetensors.h"

namespace pith {

namespace {

// Keeps the order in which members are added: the header lists tensors as they lie in the file.
using nlohmann::ordered_json;

std::string dump(const ordered_json& value) {
  try {
    return value.dump();
  } catch (const ordered_json::exception& fault) {
    throw input_error("safetensors", "expected names in UTF-8: {}", fault.what());
  }
}

void check_writable(std::span<const SafeTensor> tensors) {
  std::set<std::string_view> names;
  for (const SafeTensor& t : tensors) {
    if (t.name == "__metadata__" || !names.insert(t.name).second)
      throw input_error("safetensors", "expected each tensor once and none named __metadata__, got {}",
                        printable(t.name));
    dim bits = dtype_bits(t.dtype);
    PITH_CHECK(bits > 0);
    for (const dim n : t.shape) bits *= n;
    PITH_CHECK(bits % 8 == 0 && bits / 8 == t.size_bytes);
  }
}

FileLayout layout_of(std::span<const SafeTensor> tensors, const std::vector<std::size_t>& order) {
  // Built as text: adding to an ordered object searches all members, which is quadratic.
  std::string text = R"({"__metadata__":{"format":"pt"})";
  dim offset = 0;
  FileLayout layout;
  for (const std::size_t i : order) {
    const SafeTensor& t = tensors[i];
    const ordered_json entry = {
        {"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.size_bytes}}};
    text += "," + dump(t.name) + ":" + dump(entry);
    layout.offsets_bytes.push_back(offset);
    offset += t.size_bytes;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto size = std::uint64_t(text.size());
  layout.head.assign(reinterpret_cast<const char*>(&size), sizeof size);
  layout.head += text;
  for (dim& o : layout.offsets_bytes) o += dim(layout.head.size());
  layout.total_bytes = dim(layout.head.size()) + offset;
  return layout;
}

std::string index_of(std::span<const SafeTensor> tensors, const std::vector<ShardLayout>& shards) {
  std::map<std::string, std::string> file_of;
  dim total = 0;
  for (const ShardLayout& shard : shards)
    for (const std::size_t i : shard.tensors) {
      file_of.emplace(tensors[i].name, shard.file_name);
      total += tensors[i].size_bytes;
    }
  const ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", file_of}};
  return index.dump(2) + "\n";
}

}  // namespace

SafetensorsLayout safetensors_layout(std::span<const SafeTensor> tensors, dim max_shard_bytes) {
  check_writable(tensors);
  std::vector<std::vector<std::size_t>> groups(1);
  dim held_bytes = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!groups.back().empty() && held_bytes + tensors[i].size_bytes > max_shard_bytes) {
      groups.emplace_back();
      held_bytes = 0;
    }
    groups.back().push_back(i);
    held_bytes += tensors[i].size_bytes;
  }
  SafetensorsLayout out;
  for (std::size_t s = 0; s < groups.size(); ++s) {
    std::stable_sort(groups[s].begin(), groups[s].end(), [&](std::size_t a, std::size_t b) {
      return dtype_bits(tensors[a].dtype) > dtype_bits(tensors[b].dtype);
    });
    const std::string name = groups.size() == 1 ? "model.safetensors"
                                                : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, groups.size());
    FileLayout layout = layout_of(tensors, groups[s]);
    out.shards.push_back({name, std::move(groups[s]), std::move(layout)});
  }
  if (out.shards.size() > 1) out.index_json = index_of(tensors, out.shards);
  return out;
}

}  // namespace pith
