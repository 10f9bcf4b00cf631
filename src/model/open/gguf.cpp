#include <algorithm>
#include <regex>

#include "core/error.h"
#include "formats/format.h"
#include "io/printable.h"
#include "model/config_gguf.h"
#include "model/export/parts.h"
#include "model/model_impl.h"
#include "model/open/outliers.h"

namespace pith {

namespace {

const Arch& arch_of_meta(const GgufMeta& meta) {
  const std::string& name = meta.get_string("general.architecture");
  const bool experts = meta.find_int(name + ".expert_count", 0) > 0;
  if (const Arch* arch = find_arch(name, experts)) return *arch;
  std::string known;
  for (const Arch* arch : all_archs())
    if (find_arch(arch->name) == arch) known.append(known.empty() ? "" : ", ").append(arch->name);
  throw input_error("gguf", "key general.architecture: expected one of {}; got {}", known, printable(name));
}

ModelTensor view_of(const GgufFile& file, const GgufTensor& stored) {
  ModelTensor t;
  t.name = stored.name;
  t.shape.assign(stored.shape.rbegin(), stored.shape.rend());
  t.weight.format = format_of_gguf_type(stored.type);
  if (!t.weight.format) {
    const GgufType* type = gguf_type(stored.type);
    throw Error(Blame::input, printable(stored.name),
                fmt::format("expected a type with a decoder, got {} ({})", stored.type, type ? type->name : "unknown"),
                "`formats` lists the types that can be read");
  }
  t.weight.data = file.data(stored);
  set_shape(t);
  if (t.weight.rows * row_bytes(*t.weight.format, t.weight.cols) != stored.size_bytes)
    throw input_error(printable(stored.name), "expected {} bytes of {}, got {}",
                      t.weight.rows * row_bytes(*t.weight.format, t.weight.cols), t.weight.format->name,
                      stored.size_bytes);
  return t;
}

// All files of the split model that `first` belongs to; {first} for a model in one file.
std::vector<std::filesystem::path> split_files(const std::filesystem::path& first, dim count) {
  if (count <= 1) return {first};
  static const std::regex kName("(.*)-[0-9]{5}-of-([0-9]{5})\\.gguf");
  std::smatch parts;
  const std::string name = first.filename().string();
  if (!std::regex_match(name, parts, kName) || std::stoll(parts[2]) != count)
    throw input_error(first.string(), "expected a name like NAME-00001-of-{:05}.gguf, since the model is split", count);
  std::vector<std::filesystem::path> files;
  for (dim i = 1; i <= count; ++i)
    files.push_back(first.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", parts[1].str(), i, count));
  return files;
}

void open_files(const std::filesystem::path& path, Model::Impl& out) {
  GgufFile given(path);
  const dim count = given.meta().find_int("split.count", 1);
  if (count < 0 || count > 99999) throw input_error("gguf", "key split.count: expected 1 to 99999, got {}", count);
  if (count <= 1) {
    out.gguf.push_back(std::move(given));
    return;
  }
  for (const auto& file : split_files(path, count)) {
    if (!std::filesystem::exists(file))
      throw input_error(file.string(), "expected all {} files of the split model, this one is missing", count);
    out.gguf.emplace_back(file);
    const dim number = out.gguf.back().meta().find_int("split.no", -1);
    if (number + 1 != dim(out.gguf.size()))
      throw input_error(file.string(), "key split.no: expected {}, got {}", out.gguf.size() - 1, number);
  }
  dim found = 0;
  for (const GgufFile& file : out.gguf) found += dim(file.tensors().size());
  const dim stated = out.gguf[0].meta().find_int("split.tensors.count", found);
  if (stated != found)
    throw input_error(path.string(), "key split.tensors.count: expected {} tensors in all files, got {}", stated,
                      found);
}

}  // namespace

void open_gguf(const std::filesystem::path& path, Model::Impl& out) {
  open_files(path, out);
  const GgufMeta& meta = out.gguf[0].meta();
  out.arch = &arch_of_meta(meta);
  out.config = config_from_gguf(meta, *out.arch);
  out.run_time.activations = ActSpec(meta.find_string(std::string(kGgufActivations), "f32"));
  out.run_time.kv = KvSpec(meta.find_string(std::string(kGgufKv), "f32"));
  if (const dim version = meta.find_int(kOutlierKey, 1); version != 1)
    throw input_error("gguf", "key {}: expected 1, got {}", kOutlierKey, version);
  for (const GgufFile& file : out.gguf) {
    std::vector<const GgufTensor*> outliers;
    std::vector<ModelTensor> tensors;
    for (const GgufTensor& stored : file.tensors()) {
      if (stored.name.starts_with(kOutlierPrefix) && meta.has(kOutlierKey))
        outliers.push_back(&stored);
      else
        tensors.push_back(view_of(file, stored));
    }
    attach_gguf_outliers(file, outliers, tensors);
    for (ModelTensor& t : tensors) out.tensors.push_back(std::move(t));
  }
}

}  // namespace pith
