#include "io/scratch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <system_error>

#include "core/error.h"
#include "io/descriptor.h"

namespace pith {

namespace {

constexpr dim kSmall = dim(64) << 10;
constexpr dim kMostAtOnce = dim(1) << 30;  // what one write takes everywhere

bool write_all(int file, const Buffer& bytes) {
  for (dim at = 0; at < bytes.size_bytes();) {
    const auto n = write(file, bytes.data() + at, std::size_t(std::min(bytes.size_bytes() - at, kMostAtOnce)));
    if (n <= 0) return false;
    at += n;
  }
  return true;
}

// Nothing where there is no room, or no folder to write to.
std::optional<MappedFile> mapped(const Buffer& bytes) {
  std::error_code fault;
  const auto folder = std::filesystem::temp_directory_path(fault);
  if (fault) return {};
  std::string path = (folder / "pith-scratch-XXXXXX").string();
  const Descriptor file(mkostemp(path.data(), O_CLOEXEC));
  if (!file) return {};
  std::optional<MappedFile> map;
  try {
    if (write_all(file.get(), bytes)) map.emplace(std::filesystem::path(path));
  } catch (const Error&) {  // the map failed: the bytes are still here
  }
  unlink(path.c_str());
  return map;
}

}  // namespace

const std::byte* Scratch::keep(Buffer bytes) {
  if (bytes.size_bytes() >= kSmall)
    if (auto map = mapped(bytes)) return files_.emplace_back(std::move(*map)).data();
  return memory_.emplace_back(std::move(bytes)).data();
}

void Scratch::release(const std::byte* begin, dim size_bytes) const {
  const std::less_equal<const std::byte*> before;
  for (const MappedFile& map : files_)
    if (before(map.data(), begin) && before(begin + size_bytes, map.data() + map.size_bytes()))
      return map.release(begin, size_bytes);
}

}  // namespace pith
