#include "io/files.h"

#include "core/error.h"
#include "io/mapped_file.h"

namespace pith {

std::string read_text_file(const std::filesystem::path& path, dim max_bytes) {
  const MappedFile file(path);
  if (file.size_bytes() > max_bytes)
    throw input_error(path.string(), "expected a file of at most {} bytes, got {}", max_bytes, file.size_bytes());
  return {reinterpret_cast<const char*>(file.data()), std::size_t(file.size_bytes())};
}

}  // namespace pith
