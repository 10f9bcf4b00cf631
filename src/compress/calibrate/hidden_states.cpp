#include "compress/calibrate/hidden_states.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace pith {

namespace {

// A file without a name: it is gone with its descriptor, whatever ends this process.
int nameless_file(const std::filesystem::path& folder) {
  std::string name = (folder / ".pith-calibration-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) throw environment_error(folder.string(), "expected a folder to write in, got {}", std::strerror(errno));
  unlink(name.c_str());
  return file;
}

template <class Move>  // ssize_t move(done): some of the rest
void move_all(dim bytes, const Move& move) {
  for (dim done = 0; done < bytes;) {
    const ssize_t n = move(done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      throw environment_error("calibration", "expected room on the disk for activations, got {}",
                              n == 0 ? "a short file" : std::strerror(errno));
    done += n;
  }
}

}  // namespace

HiddenStates::HiddenStates(std::vector<dim> values, dim max_ram_bytes, const std::filesystem::path& folder)
    : values_(std::move(values)) {
  dim sum = 0;
  for (const dim v : values_) {
    start_.push_back(sum);
    sum += v;
  }
  const dim bytes = sum * dim(sizeof(float));
  if (bytes <= max_ram_bytes)
    memory_.reserve(bytes);
  else
    file_ = nameless_file(folder);
}

HiddenStates::~HiddenStates() {
  if (file_ >= 0) close(file_);
}

void HiddenStates::load(std::size_t sequence, float* to) const {
  const dim bytes = values_[sequence] * dim(sizeof(float)), start = start_[sequence] * dim(sizeof(float));
  if (file_ < 0)
    std::memcpy(to, memory_.data() + start, std::size_t(bytes));
  else
    move_all(bytes, [&](dim done) {
      return pread(file_, reinterpret_cast<char*>(to) + done, std::size_t(bytes - done), start + done);
    });
}

void HiddenStates::store(std::size_t sequence, const float* from) {
  const dim bytes = values_[sequence] * dim(sizeof(float)), start = start_[sequence] * dim(sizeof(float));
  if (file_ < 0)
    std::memcpy(memory_.data() + start, from, std::size_t(bytes));
  else
    move_all(bytes, [&](dim done) {
      return pwrite(file_, reinterpret_cast<const char*>(from) + done, std::size_t(bytes - done), start + done);
    });
}

}  // namespace pith
