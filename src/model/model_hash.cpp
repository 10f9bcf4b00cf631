#include <algorithm>

#include "io/sha256.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr dim kChunkBytes = dim(8) << 20;

void add_number(Sha256& sha, dim n) { sha.update(std::as_bytes(std::span(&n, 1))); }

void add_text(Sha256& sha, std::string_view text) {
  add_number(sha, dim(text.size()));
  sha.update(std::as_bytes(std::span(text.data(), text.size())));
}

void add_map(Sha256& sha, const MappedFile& map) {
  add_number(sha, map.size_bytes());
  for (dim at = 0; at < map.size_bytes(); at += kChunkBytes) {
    const dim size = std::min(kChunkBytes, map.size_bytes() - at);
    sha.update({map.data() + at, std::size_t(size)});
    map.release(map.data() + at, size);
  }
}

}  // namespace

// Names of tensors rather than of files, so that a renamed file is the same model.
std::string Model::source_hash() const {
  Sha256 sha;
  for (const ModelTensor& t : tensors()) add_text(sha, t.name);
  add_text(sha, impl_->hf_config);
  impl_->for_maps([&](const MappedFile& map) { add_map(sha, map); });
  return sha.hex();
}

}  // namespace pith
