#include "io/files.h"

#include <fstream>

#include "core/error.h"
#include "io/mapped_file.h"

namespace pith {

std::string read_text_file(const std::filesystem::path& path, dim max_bytes) {
  const MappedFile file(path);
  if (file.size_bytes() > max_bytes)
    throw input_error(path.string(), "expected a file of at most {} bytes, got {}", max_bytes, file.size_bytes());
  return {reinterpret_cast<const char*>(file.data()), std::size_t(file.size_bytes())};
}

void write_whole(const std::filesystem::path& path, const std::string& text) {
  auto part = path;
  part += ".part";
  std::ofstream out(part, std::ios::binary);
  out << text << std::flush;
  if (!out) throw environment_error(path.string(), "expected to write {} bytes, they cannot be written", text.size());
  out.close();
  std::filesystem::rename(part, path);
}

std::filesystem::path beside(std::filesystem::path model, const char* ending) {
  model = (model / "").parent_path();  // without a slash at the end
  if (model.extension() == ".gguf") model.replace_extension();
  return model += ending;
}

std::string last_name(const std::filesystem::path& path) {
  return (path.lexically_normal() / "").parent_path().filename().string();
}

std::string model_stem(const std::filesystem::path& path) {
  std::string name = last_name(path);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

}  // namespace pith
