#include "cli/output_files.h"

#include <fstream>

#include "core/error.h"
#include "io/stage.h"

namespace pith::cli {

void write_whole(const std::filesystem::path& path, const std::string& text) {
  auto part = path;
  part += ".part";
  std::ofstream out(part, std::ios::binary);
  out << text << std::flush;
  if (!out) throw environment_error(path.string(), "the report cannot be written");
  std::filesystem::rename(part, path);
}

std::filesystem::path beside(std::filesystem::path target, const char* ending) {
  target = (target / "").parent_path();  // without a slash at the end
  if (target.extension() == ".gguf") target.replace_extension();
  return target += ending;
}

dim write_adapter(const std::filesystem::path& target, const std::vector<AdapterFile>& files, bool overwrite) {
  const bool single = files.size() == 1 && files[0].name.empty();
  Stage stage(target, single ? Stage::Kind::file : Stage::Kind::folder, "adapter",
              {.resume = false, .overwrite = overwrite});
  dim total = 0;
  for (const AdapterFile& file : files) {
    const std::string name = single ? target.filename().string() : file.name;
    stage.add_file(name, dim(file.bytes.size()));
    stage.write(name, 0, std::as_bytes(std::span(file.bytes)));
    total += dim(file.bytes.size());
  }
  stage.commit();
  return total;
}

std::string adapter_target(const Model& model) {
  return beside(model.path(), "-adapter").string() + (model.is_gguf() ? ".gguf" : "");
}

}  // namespace pith::cli
