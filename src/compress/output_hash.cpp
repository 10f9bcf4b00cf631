#include "compress/output_hash.h"

#include <fcntl.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <span>

#include "core/error.h"
#include "io/descriptor.h"
#include "io/sha256.h"

namespace pith {

struct OutputHash::State {
  std::vector<std::filesystem::path> files;
  std::mutex mutex;
  std::condition_variable more;
  std::size_t file = 0;  // up to here all is settled
  dim size_bytes = 0;
  bool gave_up = false;

  // How much of a file may be read; waits until that is more than `read_bytes`.
  dim settled(std::size_t of, dim read_bytes) {
    constexpr dim kAll = std::numeric_limits<dim>::max();
    std::unique_lock lock(mutex);
    dim bytes = 0;
    more.wait(lock, [&] {
      bytes = of < file ? kAll : of == file ? size_bytes : 0;
      return gave_up || bytes > read_bytes;
    });
    return gave_up ? 0 : bytes;
  }
};

namespace {

// No stream, which would read ahead of what is settled.
dim read_at(int file, std::span<std::byte> to, dim at) {
  ssize_t got;
  do got = pread(file, to.data(), to.size(), off_t(at));
  while (got < 0 && errno == EINTR);
  return dim(got);
}

}  // namespace

void OutputHash::add_file(Sha256& sha, State& state, std::size_t i) {
  std::vector<std::byte> chunk(std::size_t(1) << 20);
  Descriptor in;
  for (dim done = 0, size; (size = state.settled(i, done)) > 0;) {
    if (!in) in = Descriptor(open(state.files[i].c_str(), O_RDONLY | O_CLOEXEC));
    while (done < size) {
      const auto wanted = std::span(chunk).first(std::size_t(std::min(dim(chunk.size()), size - done)));
      const dim got = in ? read_at(in.get(), wanted, done) : -1;
      if (got < 0) throw environment_error(state.files[i].string(), "reading it back failed: {}", std::strerror(errno));
      if (got == 0) return;  // the end
      sha.update(wanted.first(std::size_t(got)));
      done += got;
    }
  }
}

OutputHash::OutputHash(std::vector<std::filesystem::path> files) : state_(std::make_unique<State>()) {
  state_->files = std::move(files);
  hash_ = std::async(std::launch::async, [&state = *state_] {
    Sha256 sha;
    for (std::size_t i = 0; i < state.files.size(); ++i) add_file(sha, state, i);
    return sha.hex();
  });
}

OutputHash::~OutputHash() {
  const std::lock_guard lock(state_->mutex);
  state_->gave_up = true;
  state_->more.notify_all();
}

void OutputHash::settle(std::size_t file, dim size_bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->file = file;
  state_->size_bytes = size_bytes;
  state_->more.notify_all();
}

std::string OutputHash::get() {
  settle(state_->files.size(), 0);
  return hash_.get();
}

}  // namespace pith
