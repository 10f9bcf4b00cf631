#include "cli/output_files.h"

#include "io/stage.h"

namespace pith::cli {

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
